"""`visir eval`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import JsonOption, OcrLanguageOption, missing_extra, print_json, say

TaskOption = Annotated[list[str] | None, typer.Option("--task", metavar="NAME", help="Only tasks whose names hold this; repeatable.")]
CacheOption = Annotated[Path | None, typer.Option("--cache", metavar="FILE", help="Where vectors are kept (else your cache folder).")]
DeviceOption = Annotated[str, typer.Option("--device", metavar="NAME", help="Where to run what can: auto, cpu, cuda, openvino ….")]


def eval(
    benchmark: Annotated[str, typer.Argument(metavar="DIR", help="A benchmark in MVRB's layout: a folder, or owner/name on a hub.")],
    task: TaskOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="A model, a model folder, random, grey, ocr-bm25 …; may be given again."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write MODEL.json there, for `visir report`.", file_okay=False),
    ] = None,
    device: DeviceOption = "auto",
    ocr_language: OcrLanguageOption = "eng",
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure models on a benchmark.

    Prints Recall@1 and its 95 % interval by meta-task and task. With several models, also how likely chance alone would part
    each from the first; with --json, one object holds them all.
    """
    from visir.mvrb.cache import Cache
    from visir.mvrb.data import Benchmark
    from visir.mvrb.hub import find_benchmark
    from visir.unise.embedder import DEFAULT_MODEL

    try:
        from visir.mvrb.baselines import check_names, load_retriever
        from visir.mvrb.evaluate import evaluate, paired_test, prepare
        from visir.mvrb.report import save, table
    except ImportError as error:
        raise missing_extra("eval", error) from error

    names = model or [DEFAULT_MODEL]
    check_names(names)
    vectors = Cache(cache or default_cache())
    data = Benchmark(find_benchmark(benchmark, say), vectors)
    tasks = prepare(data, data.chosen(task or []), say)
    say(f"measuring {len(tasks)} {'task' if len(tasks) == 1 else 'tasks'} of {benchmark}")
    evaluations = []
    for name in names:
        evaluations.append(evaluate(tasks, load_retriever(name, vectors, device, ocr_language), say))
        if output is not None:
            say(f"wrote {save(evaluations[-1], data.folder, output)}")
    vectors.close()
    first, *others = evaluations
    chances = [(other, paired_test(first, other)) for other in others]
    if as_json:
        paired = [{"models": [first.model, other.model], "p": chance} for other, chance in chances]
        print_json({"models": [item.as_json() for item in evaluations], "paired": paired} if others else first.as_json())
        return
    print(table(evaluations))
    for other, chance in chances:
        print(f"\n{first.model} against {other.model}: p = {chance:.4f} (paired randomisation test)")


def default_cache() -> Path:
    """Return where vectors and texts are kept unless the user names another place."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    return Path(base) / "visir" / "vectors.sqlite"
