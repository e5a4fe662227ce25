"""`visir eval`."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import JsonOption, print_json, say


def eval(
    benchmark: Annotated[Path, typer.Argument(metavar="DIR", help="A benchmark in MVRB's layout.")],
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="NAME", help="Only tasks whose names hold this; may be given again.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model, a model folder, random, grey or ocr-bm25; may be given again."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write MODEL.json there, for `visir report`.")
    ] = None,
    cache: Annotated[Path | None, typer.Option("--cache", metavar="FILE", help="Where vectors are kept (else your cache folder).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure models on a benchmark.

    Prints Recall@1 and its 95 % interval by meta-task and task. With several models, also how likely chance alone would part
    each from the first.
    """
    from visir.mvrb.baselines import load_retriever
    from visir.mvrb.cache import Cache
    from visir.mvrb.data import Benchmark
    from visir.mvrb.evaluate import evaluate, paired_test
    from visir.unise.embedder import DEFAULT_MODEL

    data = Benchmark(benchmark)
    tasks = data.chosen(task or [])
    say(f"measuring {len(tasks)} tasks of {benchmark}")
    vectors = Cache(cache or _cache_folder() / "vectors.sqlite")
    evaluations = []
    for name in model or [DEFAULT_MODEL]:
        evaluation = evaluate(data, load_retriever(name, vectors), tasks, say)
        evaluations.append(evaluation)
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            safe = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in evaluation.model)
            facts = {**evaluation.as_json(details=True), "benchmark": str(benchmark.resolve())}
            (output / f"{safe}.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
    vectors.close()
    if as_json:
        shown = [evaluation.as_json() for evaluation in evaluations]
        print_json(shown[0] if len(shown) == 1 else shown)
        return
    from visir.mvrb.report import table

    print(table(evaluations))
    for evaluation in evaluations[1:]:
        chance = paired_test(evaluations[0], evaluation)
        print(f"\n{evaluations[0].model} against {evaluation.model}: p = {chance:.4f} (paired randomisation test)")


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    return Path(base) / "visir"
