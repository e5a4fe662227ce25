"""Measurements as tables, and as one page with pictures of what was won and lost; it needs no network."""

import base64
import html
import io
import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from PIL import Image

from visir.errors import BenchmarkError
from visir.mvrb.data import Benchmark, Row, TaskData
from visir.mvrb.evaluate import Evaluation, TaskResult, load, paired_test

PUBLISHED = (
    ("BGE-VL-Screenshot 3.75B", 60.61, 70.09, 59.58, 53.10, 54.46),
    ("UniSE-MLLM 2.21B", 55.72, None, None, None, None),
    ("GME-2B", 48.14, 61.62, 37.68, 37.78, 47.98),
    ("DSE-phi3", 45.21, 61.54, 37.78, 39.24, 31.51),
    ("ColPali", 43.64, 61.73, 35.00, 35.32, 31.04),
    ("SigLIP-so400m", 33.34, 38.33, 34.48, 19.60, 40.64),
    ("CLIP-L", 23.75, 18.89, 25.39, 23.90, 30.40),
)
"""Rows that others published for the real MVRB: model, then Recall@1 in percent overall and on SR, CSR, SQA, OVC."""

METAS = ("SR", "CSR", "SQA", "OVC")
_SHOWN = 10
_SIDE = 360


def table(evaluations: Sequence[Evaluation]) -> str:
    """Return a Markdown table of Recall@1 in percent: overall, meta-tasks, tasks; a column a model."""
    first = evaluations[0]
    head = f"| Recall@1, % | {' | '.join(evaluation.model for evaluation in evaluations)} |"
    lines = [head, "|---|" + "--:|" * len(evaluations)]
    lines.append(
        _line("**overall**", [_with_interval(evaluation.overall["recall_at_1"], evaluation.interval()) for evaluation in evaluations])
    )
    for meta in first.meta:
        lines.append(_line(f"**{meta}**", [f"{100 * evaluation.meta[meta]['recall_at_1']:.1f}" for evaluation in evaluations]))
    for name in first.tasks:
        cells = [
            _with_interval(evaluation.tasks[name].scores["recall_at_1"], evaluation.tasks[name].interval) for evaluation in evaluations
        ]
        lines.append(_line(name, cells))
    return "\n".join(lines)


def _line(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def save(evaluation: Evaluation, benchmark: Path, folder: Path) -> Path:
    """Write an evaluation to ``MODEL.json``, for `write`; returns its path.

    Where another model of the same name was measured before, the revision joins the file's name.

    Args:
        evaluation: what was measured.
        benchmark: the benchmark's folder.
        folder: where to, made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in evaluation.model)
    path = folder / f"{safe}.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("revision") != evaluation.revision:
        path = folder / f"{safe}-{evaluation.revision}.json"
    facts = {**evaluation.as_json(details=True), "benchmark": str(benchmark.resolve())}
    path.write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write(results: Sequence[Path], folder: Path) -> list[Path]:
    """Write report.html and report.md of measurements of one benchmark; returns their paths.

    Raises:
        BenchmarkError: they are of different benchmarks or tasks.
    """
    evaluations = sorted((load(path) for path in results), key=lambda evaluation: -evaluation.overall["recall_at_1"])
    first = evaluations[0]
    for path, evaluation in zip(results, (load(path) for path in results), strict=True):
        if evaluation.data != first.data or evaluation.tasks.keys() != first.tasks.keys():
            raise BenchmarkError(f"{path} was measured on other data than the rest: report them apart")
    benchmark = Benchmark(Path(json.loads(results[0].read_text(encoding="utf-8"))["benchmark"]))
    folder.mkdir(parents=True, exist_ok=True)
    page, text = folder / "report.html", folder / "report.md"
    text.write_text(_markdown(evaluations), encoding="utf-8")
    with page.open("w", encoding="utf-8") as out:
        out.writelines(_page(evaluations, benchmark))
    return [page, text]


def _markdown(evaluations: Sequence[Evaluation]) -> str:
    facts = "\n".join(
        f"* {item.model}: revision {item.revision}, commit {item.commit}, {item.seconds:.0f} s, {item.peak_memory / 1e6:.0f} MB"
        for item in evaluations
    )
    published = "\n".join(_line(name, [f"{value:.2f}" if value is not None else "" for value in values]) for name, *values in PUBLISHED)
    return (
        f"# Measurements\n\n{table(evaluations)}\n\n{facts}\n\n{_tests(evaluations)}\n\n## Published for the real MVRB, by others\n\n"
        f"| model | Overall | {' | '.join(METAS)} |\n|---|{'--:|' * 5}\n{published}\n"
    )


def _tests(evaluations: Sequence[Evaluation]) -> str:
    first = evaluations[0]
    return "\n".join(
        f"* {first.model} against {other.model}: p = {paired_test(first, other):.4f} (paired randomisation test)"
        for other in evaluations[1:]
    )


def _page(evaluations: Sequence[Evaluation], benchmark: Benchmark) -> Iterator[str]:
    style = files("visir.mvrb").joinpath("report.css").read_text(encoding="utf-8")
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Measurements</title><style>{style}</style></head><body><main>'
    yield f"<h1>{html.escape(benchmark.folder.name)}</h1>"
    yield from _leaderboard(evaluations)
    for name in evaluations[0].tasks:
        yield from _task(evaluations, benchmark.task(name))
    yield "</main></body></html>\n"


def _leaderboard(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    metas = list(evaluations[0].meta)
    yield f"<h2>Recall@1, %</h2><table><tr><th>model<th>overall<th>interval{''.join(f'<th>{meta}' for meta in metas)}<th>commit</tr>"
    for item in evaluations:
        low, high = item.interval()
        cells = "".join(f"<td>{100 * item.meta[meta]['recall_at_1']:.1f}" for meta in metas)
        head = f"<td>{html.escape(item.model)}<td>{100 * item.overall['recall_at_1']:.1f}<td>{100 * low:.1f} to {100 * high:.1f}"
        yield f"<tr>{head}{cells}<td>{item.commit}</tr>"
    yield f"</table><p>{html.escape(_tests(evaluations))}</p><h2>Published for the real MVRB, by others</h2>"
    yield f"<table class=published><tr><th>model<th>Overall{''.join(f'<th>{meta}' for meta in METAS)}</tr>"
    for name, *values in PUBLISHED:
        yield f"<tr><td>{name}{''.join(f'<td>{value:.2f}' if value is not None else '<td>' for value in values)}</tr>"
    yield "</table>"


def _task(evaluations: Sequence[Evaluation], data: TaskData) -> Iterator[str]:
    yield f"<h2 id='{html.escape(data.name)}'>{html.escape(data.name)}</h2>"
    yield f"<p>{len(data.queries):,} queries ({data.query_kind}), {len(data.candidates):,} candidates ({data.candidate_kind})</p>"
    for item in evaluations:
        share = 100 * item.tasks[data.name].scores["recall_at_1"]
        yield f'<div class=bar><span>{html.escape(item.model)}</span><i style="width:{share:.1f}%"></i>{share:.1f}</div>'
    result = evaluations[0].tasks[data.name]
    for title, won in (("Won", 1.0), ("Lost", 0.0)):
        # Spread over the task, so that neighbours in the file do not fill the page.
        numbers = [number for number, value in enumerate(result.per_query) if (value > 0) == (won > 0)]
        chosen = numbers[:: max(1, len(numbers) // _SHOWN)][:_SHOWN]
        yield f"<h3>{title} by {html.escape(evaluations[0].model)}: {len(numbers):,}</h3>"
        for number in chosen:
            yield _example(data, result, number)


def _example(data: TaskData, result: TaskResult, number: int) -> str:
    found = result.top[number][0]
    right = min(data.targets[number])
    cells = [("query", data.queries[number]), ("found", data.candidates[found])]
    if found not in data.targets[number]:
        cells.append(("right", data.candidates[right]))
    return (
        "<div class=example>" + "".join(f"<figure><figcaption>{name}</figcaption>{_cell(row)}</figure>" for name, row in cells) + "</div>"
    )


def _cell(row: Row) -> str:
    shown = f"<p>{html.escape(row.text[:600])}</p>" if row.text else ""
    if not row.picture:
        return shown
    with Image.open(io.BytesIO(row.screenshot().encoded)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    return f'{shown}<img alt="{html.escape(row.picture)}" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
