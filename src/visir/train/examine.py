"""How well a model finds held-out pairs, and how much of what it knew before it still knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visir.screenshot import Screenshot
from visir.train.pairs import Kind, PairSet
from visir.unise.embedder import Embedder, Vectors

_NEAR = 5


@dataclass(frozen=True)
class Found:
    """What a model found of a set of pairs.

    Args:
        recall: share of queries whose document came first among all of the set.
        right: mean cosine of queries with their documents. wrong: with the others.
    """

    recall: float
    right: float
    wrong: float


def find(embedder: Embedder, pairs: PairSet, limit: int) -> Found:
    """Ask for the first ``limit`` pairs of a set among these pairs' documents."""
    chosen = pairs.pairs[:limit]
    keys = list(dict.fromkeys(pair.document for pair in chosen))
    place = {key: number for number, key in enumerate(keys)}
    documents = embedder.encode_document([pairs.document(key) for key in keys])
    queries = embedder.encode_query([pairs.query(pair) for pair in chosen], pairs.instruction)
    cosines = embedder.similarity(queries, documents)
    return judge(cosines, np.array([place[pair.document] for pair in chosen]))


def judge(cosines: Vectors, answer: NDArray[np.int64]) -> Found:
    """Say what cosines (n, m) of queries with documents find; ``answer`` (n,) is the number of each query's right one."""
    own = cosines[np.arange(len(answer)), answer]
    others = cosines.sum() - own.sum()
    wrong = float(others / max(1, cosines.size - len(answer)))
    return Found(float((cosines.argmax(1) == answer).mean()), float(own.mean()), wrong)


class Probe:
    """A fixed set of pictures and texts that training does not see, and what the model made of them at the start.

    Args:
        sets: pairs that stand for what should not be forgotten.
        embedder: the model before training.
        limit: pictures at most.
        best: the highest recall that it has found before, where a run goes on; also as an attribute.
    """

    def __init__(self, sets: Sequence[PairSet], embedder: Embedder, limit: int = 200, best: float = 0.0) -> None:
        self._sets = [pairs for pairs in sets if pairs.kind == "caption"]
        self._limit = limit
        self._start = [self._near(self._pictures(embedder, pairs)) for pairs in self._sets]
        self.best = best
        self.ask(embedder)

    def ask(self, embedder: Embedder) -> dict[str, float]:
        """Return ``probe_kept``, the share of each picture's five neighbours at the start that are its neighbours still;
        ``probe_recall``, the share of captions whose picture comes first; and ``probe_best``, the highest that this has been.
        """
        kept = [
            float(np.mean([len(set(now) & set(then)) / len(then) for now, then in zip(self._near(new), start, strict=True)]))
            for start, new in zip(self._start, (self._pictures(embedder, pairs) for pairs in self._sets), strict=True)
        ]
        if not kept:
            return {}
        recall = float(np.mean([find(embedder, pairs, self._limit).recall for pairs in self._sets]))
        self.best = max(self.best, recall)
        return {"probe_kept": float(np.mean(kept)), "probe_recall": recall, "probe_best": self.best}

    def _pictures(self, embedder: Embedder, pairs: PairSet) -> Vectors:
        return embedder.encode_document([Screenshot(pairs.images[key]) for key in pairs.documents()[: self._limit]])

    def _near(self, vectors: Vectors) -> Any:
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -2)
        return np.argsort(-cosines, axis=1)[:, :_NEAR]


def calibrate(found: dict[Kind, Found], before: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return how cosines are read (`Calibration`): a right screenshot of mean cosine scores 85 %, a wrong one some 3 %.

    The curve's middle lies at two thirds of the way from the one to the other: whoever asks sees the nearest of many wrong ones.

    Args:
        found: by kind of pairs.
        before: what holds for queries that no pair stands for.
    """
    curves = dict(before)
    for name, kinds in (("text", ("q2s", "caption")), ("both", ("sq2s",))):
        known = next((found[kind] for kind in kinds if kind in found), None)
        if known is not None and known.right > known.wrong:
            middle = (2 * known.right + known.wrong) / 3
            curves[name] = (round(middle, 4), round((known.right - middle) / float(np.log(0.85 / 0.15)), 4))
    return curves
