"""What is measured: anything that scores every candidate of a task for every query."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visir.mvrb.data import TaskData

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


class Retriever(Protocol):
    """A system under test.

    Attributes:
        name: its name in tables.
        revision: what tells its versions apart.
        computed: vectors and texts that it had to compute so far.
    """

    name: str
    revision: str

    @property
    def computed(self) -> int:
        """Vectors and texts that it had to compute so far; the others came from its cache."""

    def score(self, task: TaskData, progress: Progress) -> NDArray[np.float32]:
        """Return how well each candidate answers each query, shape (queries, candidates); higher is better."""
