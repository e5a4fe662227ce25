"""`visir experiment`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import JsonOption, OcrLanguageOption, missing_extra, print_json, say
from visir.cli.eval import CacheOption, DeviceOption, TaskOption, default_cache

_NAMES = "chart, composed, cost, growth, held-out, languages, negatives, resolution, mteb"


def experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {_NAMES}.")],
    benchmark: Annotated[
        str, typer.Argument(metavar="[DIR]", help="A benchmark in MVRB's layout: a folder, or owner/name on a hub.", show_default=False)
    ] = "",
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="A model or its folder; may be given again, the reference first.")
    ] = None,
    task: TaskOption = None,
    held: Annotated[
        list[str] | None, typer.Option("--held", metavar="NAME", help="held-out: tasks whose names hold this are of the held-out domain.")
    ] = None,
    size: Annotated[
        list[int] | None, typer.Option("--size", metavar="N", min=1, help="resolution: pixels; growth: distractors; may be given again.")
    ] = None,
    distractors: Annotated[
        Path | None,
        typer.Option("--distractors", metavar="DIR", help="growth: further pictures.", exists=True, file_okay=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write NAME.md and NAME.json there too.", file_okay=False)
    ] = None,
    device: DeviceOption = "auto",
    ocr_language: OcrLanguageOption = "eng",
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one of the paper's experiments, or a check that it asks for, on a benchmark.

    Models that must be trained first are arguments. docs/mvrb.md says what each experiment does. The experiment mteb runs tasks
    and benchmarks of mteb, named with --task, and needs no DIR.
    """
    from visir.errors import BenchmarkError

    if name not in _NAMES.split(", "):
        raise BenchmarkError(f"there is no experiment {name!r}: choose one of {_NAMES}")
    from visir.mvrb.cache import Cache
    from visir.mvrb.data import Benchmark
    from visir.mvrb.hub import find_benchmark
    from visir.unise.embedder import DEFAULT_MODEL

    try:
        from visir.mvrb.experiments import EXPERIMENTS, Setting
    except ImportError as error:
        raise missing_extra("eval", error) from error

    vectors = Cache(cache or default_cache())
    setting = Setting(
        benchmark=Benchmark(find_benchmark(benchmark, say), vectors) if benchmark else None,
        models=model or {"cost": [], "growth": [f"{DEFAULT_MODEL}:vector"]}.get(name, [DEFAULT_MODEL]),
        cache=vectors,
        patterns=task or [],
        held=held or [],
        sizes=size or [],
        distractors=distractors,
        device=device,
        ocr_language=ocr_language,
        tell=say,
    )
    if name == "mteb":
        from visir.mvrb.experiments.by_mteb import by_mteb

        finding = by_mteb(setting)
    else:
        finding = EXPERIMENTS[name](setting)
    vectors.close()
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{name}.md").write_text(finding.markdown() + "\n", encoding="utf-8")
        (output / f"{name}.json").write_text(json.dumps(finding.as_json(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        say(f"wrote {output / name}.md and .json")
    if as_json:
        print_json(finding.as_json())
    else:
        print(finding.markdown())
