"""The benchmark's 20 tasks as a table.

The four meta-tasks, their kinds of query and candidate, and the counts 7 + 4 + 5 + 4 follow from the paper and from its
published rows; the names of the single tasks are remembered, not confirmed: docs/mvrb.md says which is which. Names in real
data come from its folders, so nothing below depends on them.
"""

from dataclasses import dataclass

from visir.unise.instructions import BY_META_TASK


@dataclass(frozen=True)
class Task:
    """One task of the benchmark.

    Args:
        meta: meta-task: ``SR``, ``CSR``, ``SQA`` or ``OVC``.
        name: name of the task.
        query: what a query is made of: ``text``, ``image`` or ``image+text``.
        candidate: what is found: ``image`` or ``text``.
        instruction: what models that follow instructions are told.
    """

    meta: str
    name: str
    query: str
    candidate: str
    instruction: str


_SHAPES = {"SR": ("text", "image"), "CSR": ("image+text", "image"), "SQA": ("image+text", "text"), "OVC": ("image", "text")}
_NAMES = {
    "SR": ("product", "paper", "repo", "news", "chart", "document", "slide"),
    "CSR": ("product-discovery", "news-to-wiki", "knowledge-relation", "wiki-to-product"),
    "SQA": ("product-qa", "news-qa", "wiki-qa", "paper-qa", "repo-qa"),
    "OVC": ("product-classification", "news-topics", "academic-fields", "knowledge-classification"),
}
TASKS = tuple(Task(meta, name, *_SHAPES[meta], BY_META_TASK[meta]) for meta, names in _NAMES.items() for name in names)
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
    return next((meta for meta, shape in _SHAPES.items() if shape == (query, candidate)), "other")
