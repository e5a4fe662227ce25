"""Text alone, the picture alone, and both together, as queries of composed screenshot retrieval."""

from dataclasses import replace

from visir.errors import BenchmarkError
from visir.mvrb.data import Row
from visir.mvrb.evaluate import Evaluation, evaluate, paired_by_query
from visir.mvrb.experiments.setting import Cell, Finding, Setting, percent, span, with_queries, with_rows


def _text_only(row: Row) -> Row:
    return replace(row, picture="")


def _picture_only(row: Row) -> Row:
    return replace(row, text="")


_PARTS = {"both": lambda row: row, "text only": _text_only, "picture only": _picture_only}


def composed(setting: Setting) -> Finding:
    """Ask the queries of CSR whole, without their picture, and without their text (the paper's second first experiment).

    A model that composes well gains from both parts; where one part alone does as well, it does not compose, or the set does not
    ask it to.

    Raises:
        BenchmarkError: no query has both parts.
    """
    tasks = []
    for task in setting.tasks(meta=None if setting.patterns else "CSR"):
        numbers = [number for number, row in enumerate(task.queries) if row.kind == "image+text"]
        if numbers:
            tasks.append(with_queries(task, numbers, task.name))
    if not tasks:
        raise BenchmarkError("no query of these tasks has both a picture and a text")
    rows: list[list[Cell]] = []
    for retriever in setting.retrievers():
        found: dict[str, Evaluation] = {}
        for part, change in _PARTS.items():
            asked = [with_rows(task, change, candidates=False) for task in tasks]
            found[part] = evaluate(asked, retriever, setting.tell)
        for part, evaluation in found.items():
            chance = paired_by_query(found["both"], evaluation)
            score = percent(evaluation.overall["recall_at_1"])
            rows.append([retriever.name, part, score, span(*evaluation.interval()), percent(evaluation.overall["recall_at_10"]), chance])
    text = f"{len(tasks)} tasks, {sum(len(task.queries) for task in tasks):,} queries with a picture and a text; Recall, %; p against both."
    return Finding("composed", text, ["model", "asked with", "Recall@1", "interval", "Recall@10", "p"], rows)
