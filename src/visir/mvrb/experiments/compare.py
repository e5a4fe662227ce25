"""Models held against the first of them: on charts, by the negatives they were trained with, on a held-out domain."""

from visir.errors import BenchmarkError
from visir.mvrb.data import TaskData
from visir.mvrb.evaluate import Evaluation, evaluate, paired_test
from visir.mvrb.experiments.setting import Cell, Finding, Setting, percent, span


def chart(setting: Setting) -> Finding:
    """Hold UniSE-CLIP against the CLIP that it began as, on chart retrieval (the paper's first experiment).

    The models are arguments: first the CLIP, then those that were trained.
    """
    evaluations = _measured(setting, setting.tasks(pattern="chart"))
    return Finding("chart", "Recall@1 on chart retrieval, %; p by a paired randomisation test against the first.", *_table(evaluations))


def negatives(setting: Setting) -> Finding:
    """Hold models trained with hard negatives against one trained with random ones (the paper's Table 4: 54.26 to 55.72).

    The models are arguments: first the one trained with random negatives.
    """
    evaluations = _measured(setting, setting.tasks())
    columns, rows = _table(evaluations)
    metas = list(evaluations[0].meta)
    for row, evaluation in zip(rows, evaluations, strict=True):
        row.extend(percent(evaluation.meta[meta]["recall_at_1"]) for meta in metas)
    text = "Recall@1, %, the mean over tasks; p by a paired randomisation test against the first, which was trained with random negatives."
    return Finding("negatives", text, [*columns, *metas], rows)


def held_out(setting: Setting) -> Finding:
    """Hold models against the first on a domain that they were not trained on, and on the others.

    Tasks that the patterns given with ``--held`` choose are of the held-out domain.

    Raises:
        BenchmarkError: no pattern was given, one fits no task, or they leave nothing on one side.
    """
    if not setting.held:
        raise BenchmarkError("say with --held which tasks are of the domain that the models were not trained on")
    tasks = setting.tasks()
    names = setting.benchmark.chosen(setting.held) if setting.benchmark else []
    held = [task for task in tasks if task.name in names]
    seen = [task for task in tasks if task not in held]
    if not held or not seen:
        raise BenchmarkError(f"--held {' '.join(setting.held)} leaves {len(held)} tasks held out and {len(seen)} others: both are needed")
    rows: list[list[Cell]] = []
    firsts: list[Evaluation] = []
    for retriever in setting.retrievers():
        row: list[Cell] = [retriever.name]
        for side, part in enumerate((seen, held)):
            evaluation = evaluate(part, retriever, setting.tell)
            firsts += [evaluation] if len(firsts) == side else []
            row += [percent(evaluation.overall["recall_at_1"]), span(*evaluation.interval()), paired_test(firsts[side], evaluation)]
        rows.append(row)
    columns = ["model", "seen domains", "interval", "p", "held-out", "interval of held-out", "p of held-out"]
    told = ", ".join(task.name for task in held)
    return Finding("held-out", f"Recall@1, %, the mean over tasks; held out: {told}; p against the first model.", columns, rows)


def _measured(setting: Setting, tasks: list[TaskData]) -> list[Evaluation]:
    return [evaluate(tasks, retriever, setting.tell) for retriever in setting.retrievers(least=2)]


def _table(evaluations: list[Evaluation]) -> tuple[list[str], list[list[Cell]]]:
    first = evaluations[0]
    rows: list[list[Cell]] = [
        [
            evaluation.model,
            percent(evaluation.overall["recall_at_1"]),
            span(*evaluation.interval()),
            percent(evaluation.overall["recall_at_10"]),
            paired_test(first, evaluation),
        ]
        for evaluation in evaluations
    ]
    return ["model", "Recall@1", "interval", "Recall@10", "p"], rows
