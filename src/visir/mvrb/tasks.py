"""The benchmark's 20 tasks as a table.

The four meta-tasks, their kinds of query and candidate, and the counts 7 + 4 + 5 + 4 follow from the paper and from its
published rows; the names of the single tasks are remembered, not confirmed: docs/mvrb.md says which is which. Names in real
data come from its folders, so nothing below depends on them.
"""

from dataclasses import dataclass

from visir.unise.instructions import BY_META_TASK, SEARCH


@dataclass(frozen=True)
class Task:
    """One task of the benchmark.

    Args:
        meta: meta-task: ``SR``, ``CSR``, ``SQA`` or ``OVC``.
        name: name of the task.
        query: what a query is made of: ``text``, ``image`` or ``image+text``.
        candidate: what is found: ``image`` or ``text``.
        instruction: what models that follow instructions are told.
        metric: what the paper reports.
    """

    meta: str
    name: str
    query: str
    candidate: str
    instruction: str
    metric: str = "recall_at_1"


_SR, _CSR, _SQA, _OVC = (BY_META_TASK[meta] for meta in ("SR", "CSR", "SQA", "OVC"))

TASKS = (
    Task("SR", "product", "text", "image", _SR),
    Task("SR", "paper", "text", "image", _SR),
    Task("SR", "repo", "text", "image", _SR),
    Task("SR", "news", "text", "image", _SR),
    Task("SR", "chart", "text", "image", _SR),
    Task("SR", "document", "text", "image", _SR),
    Task("SR", "slide", "text", "image", _SR),
    Task("CSR", "product-discovery", "image+text", "image", _CSR),
    Task("CSR", "news-to-wiki", "image+text", "image", _CSR),
    Task("CSR", "knowledge-relation", "image+text", "image", _CSR),
    Task("CSR", "wiki-to-product", "image+text", "image", _CSR),
    Task("SQA", "product-qa", "image+text", "text", _SQA),
    Task("SQA", "news-qa", "image+text", "text", _SQA),
    Task("SQA", "wiki-qa", "image+text", "text", _SQA),
    Task("SQA", "paper-qa", "image+text", "text", _SQA),
    Task("SQA", "repo-qa", "image+text", "text", _SQA),
    Task("OVC", "product-classification", "image", "text", _OVC),
    Task("OVC", "news-topics", "image", "text", _OVC),
    Task("OVC", "academic-fields", "image", "text", _OVC),
    Task("OVC", "knowledge-classification", "image", "text", _OVC),
)
"""The 20 tasks."""

_SPELLINGS = {
    "SR": ("sr", "screenshotretrieval"),
    "CSR": ("csr", "composedscreenshotretrieval"),
    "SQA": ("sqa", "screenshotqa", "screenshotquestionanswering"),
    "OVC": ("ovc", "openvocabularyclassification", "openvocabclassification"),
}


def meta_task_of(folder: str, query: str, candidate: str) -> str:
    """Return the meta-task of a task found on disk: by its folder's name, else by what its queries and candidates are.

    Args:
        folder: name of the meta-task's folder.
        query: ``text``, ``image`` or ``image+text``.
        candidate: ``image`` or ``text``.
    """
    plain = "".join(letter for letter in folder.lower() if letter.isalpha())
    for meta, spellings in _SPELLINGS.items():
        if plain in spellings:
            return meta
    return next((task.meta for task in TASKS if (task.query, task.candidate) == (query, candidate)), "other")


def instruction_of(meta: str) -> str:
    """Return what models that follow instructions are told of a meta-task."""
    return BY_META_TASK.get(meta, SEARCH)
