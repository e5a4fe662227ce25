"""What a query is told about its task: the ``[Task]`` part of UniSE's template, one sentence a task.

The paper's own sentences are not published; these are ours. Models that were trained without instructions ignore them.
"""

BY_META_TASK = {
    "SR": "Find the screenshot that the text describes.",
    "CSR": "Find the screenshot that is related to the given screenshot in the way the text says.",
    "SQA": "Find the answer to the question about the given screenshot.",
    "OVC": "Find the class that the given screenshot belongs to.",
}
"""Instructions for the meta-tasks of the paper (section 4)."""

BY_KIND = {
    "caption": "Find the screenshot that the caption describes.",
    "q2s": "Find the screenshot that answers the question.",
    "sq2s": "Find the screenshot that answers the question about the given screenshot.",
    "sqa": BY_META_TASK["SQA"],
    "label": BY_META_TASK["OVC"],
}
"""Instructions for the kinds of training pairs (the paper's section on VIRA; the last two as the benchmark asks)."""

SEARCH = "Find the page that answers the query."
"""Instruction for a person's search."""
