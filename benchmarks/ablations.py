"""What each part of the two stages gives unise-mini, in the form of the paper's ablations.

    python benchmarks/ablations.py data/dev -o runs/ablations [--steps 150]

Each variant of the recipe ``unise-mini-pairs`` makes the same number of updates on the same set, with the same seed. What is measured is
Recall@1 in percent of the model's one vector over all tasks of the benchmark, with 95 % bootstrap intervals; the difference from the first
row, and the p-value of a paired randomisation test. What was trained and measured is kept: a run that was stopped goes on where it was.
"""

import argparse
import json
from pathlib import Path

from common import machine, table

from visir.mvrb.baselines.embedding import EmbeddingRetriever
from visir.mvrb.cache import Cache
from visir.mvrb.data import Benchmark, TaskData
from visir.mvrb.evaluate import Evaluation, evaluate, load, paired_test, prepare
from visir.train.run import run_recipe
from visir.unise.mini_student import ReadingEncoder
from visir.unise.sentence import SentenceEmbedder

_QUESTIONS = 'stage.1.kinds=["q2s", "sq2s"]', "stage.1.weights=[1.0, 1.5]"
_CAPTIONS_TOO = 'stage.1.kinds=["q2s", "sq2s", "caption"]', "stage.1.weights=[1.0, 1.5, 0.5]"


def variants(steps: int) -> dict[str, list[str]]:
    """Return the changes of the recipe for each row of the table."""
    half = steps // 2
    both = [f"stage.0.steps={half}", f"stage.1.steps={steps - half}"]
    return {
        "captions, then questions, answers and classes": both,
        "nothing": ["stage.0.steps=0", "stage.1.steps=0"],
        "captions only": [f"stage.0.steps={steps}", "stage.1.steps=0"],
        "questions only": ["stage.0.steps=0", f"stage.1.steps={steps}", "stage.1.scale=20.0", *_QUESTIONS],
        "captions, then questions": [*both, *_CAPTIONS_TOO],
        "and mined negatives": [*both, *_CAPTIONS_TOO, "stage.1.negatives=1"],
        "and random negatives": [*both, *_CAPTIONS_TOO, "stage.1.negatives=1", "stage.1.mined=false"],
        "learned fusion": [*both, "model.fusion=learned"],
    }


def measured(name: str, folder: Path, changes: list[str], tasks: list[TaskData], readings: Path) -> Evaluation:
    """Train a variant and measure it, or take what an earlier call left."""
    result = folder / "result.json"
    if result.is_file():
        return load(result)
    folder.mkdir(parents=True, exist_ok=True)
    read = folder / "readings.sqlite"
    if not read.is_symlink():
        read.symlink_to(readings.resolve())
    watch = ["watch.held=150", "watch.every=100000"]
    model = run_recipe("unise-mini-pairs", folder, [*watch, *changes])
    assert model is not None
    embedder = SentenceEmbedder.load(str(model), precision="bfloat16")
    tower: ReadingEncoder = embedder.model[0]  # type: ignore[assignment]
    tower.remember(readings)
    cache = Cache(folder / "vectors.sqlite")
    found = evaluate(tasks, EmbeddingRetriever(embedder, cache), print)
    cache.close()
    found.model = name
    result.write_text(json.dumps(found.as_json(details=True)), encoding="utf-8")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--steps", type=int, default=150, help="updates of each variant")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    benchmark = Benchmark(options.benchmark)
    tasks = prepare(benchmark, benchmark.names, print)
    rows, first = [], None
    for number, (name, changes) in enumerate(variants(options.steps).items()):
        found = measured(name, options.output / str(number), changes, tasks, options.output / "readings.sqlite")
        low, high = found.interval()
        metas = [f"{100 * scores['recall_at_1']:.1f}" for scores in found.meta.values()]
        score = found.overall["recall_at_1"]
        gain = ["", ""] if first is None else [f"{100 * (score - first.overall['recall_at_1']):+.1f}", f"{paired_test(found, first):.4f}"]
        rows.append([name, f"{100 * score:.1f} ({100 * low:.1f} to {100 * high:.1f})", *gain, *metas])
        first = first or found
        print(table(["variant", "all", "difference", "p", *first.meta], rows), flush=True)
    print(f"\n{machine(('torch', 'transformers', 'numpy'))}")


if __name__ == "__main__":
    main()
