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
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark, Row, TaskData
from visir.mvrb.evaluate import Evaluation, TaskResult, digest_of, load, paired_test, prepare
from visir.screenshot import flatten

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
_SIDE = 420


def table(evaluations: Sequence[Evaluation]) -> str:
    """Return a Markdown table of Recall@1 in percent: overall, meta-tasks, tasks; a column a model."""
    first = evaluations[0]
    head = f"| Recall@1, % | {' | '.join(evaluation.model for evaluation in evaluations)} |"
    lines = [head, "|---|" + "--:|" * len(evaluations)]
    lines.append(
        _line("**overall**", [_with_interval(evaluation.overall["recall_at_1"], evaluation.interval()) for evaluation in evaluations])
    )
    for meta in first.meta:
        cells = [_with_interval(evaluation.meta[meta]["recall_at_1"], evaluation.interval(meta)) for evaluation in evaluations]
        lines.append(_line(f"**{meta}**", cells))
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


def write(results: Sequence[Path], folder: Path, shown: str = "", benchmark: Path | None = None, cache: Cache | None = None) -> list[Path]:
    """Write report.html and report.md of measurements of one benchmark; returns their paths.

    Args:
        results: files that `save` wrote.
        folder: where to, made if missing.
        shown: name of the model whose wins and losses are shown; the best one's where it is empty.
        benchmark: the benchmark's folder, where it is no longer where it was measured.
        cache: remembers which pictures were found whole.

    Raises:
        BenchmarkError: they are of different benchmarks or tasks, or their benchmark is gone or has changed.
    """
    evaluations = [load(path) for path in results]
    for path, evaluation in zip(results, evaluations, strict=True):
        if evaluation.data != evaluations[0].data or evaluation.tasks.keys() != evaluations[0].tasks.keys():
            raise BenchmarkError(f"{path} was measured on other data than the rest: report them apart")
    evaluations.sort(key=lambda evaluation: -evaluation.overall["recall_at_1"])
    chosen = next((evaluation for evaluation in evaluations if shown in ("", evaluation.model)), None)
    if chosen is None:
        raise BenchmarkError(f"no measurement of {shown!r} is there: {', '.join(evaluation.model for evaluation in evaluations)}")
    place = benchmark or Path(json.loads(results[0].read_text(encoding="utf-8"))["benchmark"])
    tasks = _measured(Benchmark(place, cache), evaluations[0])
    folder.mkdir(parents=True, exist_ok=True)
    page, text = folder / "report.html", folder / "report.md"
    text.write_text(_markdown(evaluations), encoding="utf-8")
    with page.open("w", encoding="utf-8") as out:
        out.writelines(_page(evaluations, chosen, tasks, place.resolve().name))
    return [page, text]


def _measured(benchmark: Benchmark, evaluation: Evaluation) -> list[TaskData]:
    """Return the tasks that were measured; their rows and pictures are the same as then."""
    for name in evaluation.tasks:
        if name not in benchmark.names:
            raise BenchmarkError(f"{benchmark.folder} has no task {name}: name the benchmark that was measured with --benchmark")
    tasks = prepare(benchmark, list(evaluation.tasks))
    if digest_of(tasks) != evaluation.data:
        raise BenchmarkError(f"{benchmark.folder}: the benchmark has changed since it was measured: measure again with `visir eval`")
    return tasks


_NOT_OURS = "Rows marked as published were measured by others on the real MVRB; on other data they say nothing about ours."


def _markdown(evaluations: Sequence[Evaluation]) -> str:
    board = _board(evaluations)
    head = f"| {' | '.join(board[0])} |\n|---|{'--:|' * (len(board[0]) - 1)}"
    rows = "\n".join(f"| {' | '.join(row)} |" for row in board[1:])
    facts = "\n".join(f"* {item.model}: {_facts(item)}" for item in evaluations)
    parts = ("# Measurements", f"{head}\n{rows}", _NOT_OURS, table(evaluations), _tests(evaluations), facts)
    return "\n\n".join(part for part in parts if part) + "\n"


def _board(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """Return the leaderboard, its head first: Recall@1 in percent, ours, best first, and below them the published rows."""
    metas = list(dict.fromkeys([*METAS, *evaluations[0].meta]))
    rows: list[tuple[float, list[str]]] = []
    for item in evaluations:
        low, high = item.interval()
        scores = [f"{100 * item.meta[meta]['recall_at_1']:.1f}" if meta in item.meta else "" for meta in metas]
        overall = item.overall["recall_at_1"]
        depth = f"{100 * item.overall['recall_at_10']:.1f}"
        rows.append((100 * overall, [item.model, f"{100 * overall:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", *scores, depth, ""]))
    for name, total, *parts in PUBLISHED:
        known = dict(zip(METAS, parts, strict=True))
        scores = [f"{value:.2f}" if (value := known.get(meta)) is not None else "" for meta in metas]
        rows.append((total, [name, f"{total:.2f}", "", *scores, "", _PUBLISHED]))
    rows.sort(key=lambda row: (row[1][-1] == _PUBLISHED, -row[0]))
    return [["model", "overall", "interval", *metas, "Recall@10", "source"], *(row for _, row in rows)]


_PUBLISHED = "published"


def _facts(item: Evaluation) -> str:
    computed = f"{item.computed:,} vectors or texts computed" if item.computed else "all from the cache"
    return f"revision {item.revision}, commit {item.commit}, {item.seconds:,.0f} s ({computed}), {item.peak_memory / 1e6:,.0f} MB at most"


def _tests(evaluations: Sequence[Evaluation]) -> str:
    first = evaluations[0]
    return "\n".join(
        f"* {first.model} against {other.model}: p = {paired_test(first, other):.4f} (paired randomisation test)"
        for other in evaluations[1:]
    )


def _page(evaluations: Sequence[Evaluation], chosen: Evaluation, tasks: Sequence[TaskData], name: str) -> Iterator[str]:
    style = files("visir.mvrb").joinpath("report.css").read_text(encoding="utf-8")
    title = html.escape(f"Measurements on {name}")
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    yield f"<title>{title}</title>"
    yield f"<style>{style}</style></head><body><main><h1>{title}</h1>"
    yield from _leaderboard(evaluations)
    links = " · ".join(f'<a href="#{html.escape(task.name)}">{html.escape(task.name)}</a>' for task in tasks)
    yield f"<nav>{links}</nav>"
    for task in tasks:
        yield from _task(evaluations, chosen, task)
    yield "</main></body></html>\n"


def _leaderboard(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    head, *rows = _board(evaluations)
    yield f"<h2>Recall@1, %</h2><div class=wide><table><tr>{''.join(f'<th>{html.escape(cell)}' for cell in head)}</tr>"
    for row in rows:
        kind = " class=published" if row[-1] == _PUBLISHED else ""
        yield f"<tr{kind}>{''.join(f'<td>{html.escape(cell)}' for cell in row)}</tr>"
    yield f"</table></div><p>{_NOT_OURS}</p><ul>"
    first = evaluations[0]
    for item in evaluations:
        against = f"; p = {paired_test(first, item):.4f} against {first.model} (paired randomisation test)" if item is not first else ""
        yield f"<li><b>{html.escape(item.model)}</b>: {html.escape(_facts(item) + against)}</li>"
    yield "</ul>"


def _task(evaluations: Sequence[Evaluation], chosen: Evaluation, data: TaskData) -> Iterator[str]:
    yield f'<h2 id="{html.escape(data.name)}">{html.escape(data.name)}</h2>'
    kinds = f"{len(data.queries):,} queries ({data.query_kind}), {len(data.candidates):,} candidates ({data.candidate_kind})"
    yield f"<p>{data.meta}: {kinds}. “{html.escape(data.instruction)}”</p>"
    for item in evaluations:
        yield _bar(item.model, item.tasks[data.name])
    result = chosen.tasks[data.name]
    for title, won in (("Won", True), ("Lost", False)):
        # Spread over the task, so that neighbours in the file do not fill the page.
        numbers = [number for number, value in enumerate(result.per_query) if (value > 0) == won]
        step = max(1, len(numbers) // _SHOWN)
        yield f"<h3>{title} by {html.escape(chosen.model)}: {len(numbers):,} of {len(result.per_query):,}</h3>"
        for number in numbers[::step][:_SHOWN]:
            yield _example(data, result, number)


def _bar(model: str, result: TaskResult) -> str:
    share, (low, high) = 100 * result.scores["recall_at_1"], (100 * bound for bound in result.interval)
    drawn = f'<i style="width:{share:.1f}%"></i><s style="left:{low:.1f}%;width:{high - low:.1f}%"></s>'
    return f"<div class=bar><span>{html.escape(model)}</span><div>{drawn}</div>{share:.1f}</div>"


def _example(data: TaskData, result: TaskResult, number: int) -> str:
    found = result.top[number][0]
    cells = [("asked", data.queries[number]), ("found", data.candidates[found])]
    if found not in data.targets[number]:
        right = min(data.targets[number])
        place = next((f"found at {rank}" for rank, row in enumerate(result.top[number], 1) if row == right), "not among the first ten")
        cells.append((f"right, {place}", data.candidates[right]))
    figures = "".join(f"<figure><figcaption>{name}</figcaption>{_cell(row)}</figure>" for name, row in cells)
    return f"<div class=example>{figures}</div>"


def _cell(row: Row) -> str:
    shown = f"<p>{html.escape(row.text[:600])}</p>" if row.text else ""
    if not row.picture:
        return shown
    with Image.open(io.BytesIO(row.screenshot().encoded)) as picture:
        small = flatten(picture)
        small.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    source = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return f'{shown}<img loading="lazy" alt="{html.escape(row.picture)}" title="{html.escape(row.where)}" src="{source}">'
