"""Recall by the language of the query."""

from collections import Counter, defaultdict

import numpy as np

from visir.language import guess_language
from visir.mvrb.data import Row
from visir.mvrb.evaluate import evaluate
from visir.mvrb.experiments.setting import Cell, Finding, Setting, percent, span
from visir.mvrb.measures import interval_of, resampled

_FEWEST = 5


def languages(setting: Setting) -> Finding:
    """Measure each language apart (one of the paper's open questions).

    A query's language is what its row says under ``language`` or ``lang``, else it is guessed from its text; queries of pictures
    alone, or too short for a guess, stand under ``?``. Languages of fewer than five queries stand under ``other``.
    """
    tasks = setting.tasks()
    codes = {task.name: [_language(row) for row in task.queries] for task in tasks}
    counts = Counter(code for found in codes.values() for code in found)
    rows: list[list[Cell]] = []
    for retriever in setting.retrievers():
        hits: dict[str, list[float]] = defaultdict(list)
        for name, result in evaluate(tasks, retriever, setting.tell).tasks.items():
            for code, value in zip(codes[name], result.per_query, strict=True):
                hits[code if counts[code] >= _FEWEST else "other"].append(value)
        for code in sorted(hits, key=lambda code: (-len(hits[code]), code)):
            values = hits[code]
            rows.append([retriever.name, code, len(values), percent(float(np.mean(values))), span(*interval_of(resampled(values, code)))])
    guessed = sum(not row.language for task in tasks for row in task.queries)
    text = f"Recall@1, %, the mean over all queries of a language, whatever their task; {guessed:,} queries' languages were guessed."
    return Finding("languages", text, ["model", "language", "queries", "Recall@1", "interval"], rows)


def _language(row: Row) -> str:
    return row.language or guess_language(row.text) or "?"
