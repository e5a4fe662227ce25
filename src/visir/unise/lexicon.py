"""The words that unise-mini knows: what they look like by their letters, and how often they are written."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from visir.unise.words import Floats, bag_rows, fold_word

# What a word's cosine counts against the logarithm of how often it is written.
_SHARPNESS = 60.0
_LEAST_ALIKE = 0.45
# Words compared with the lexicon in one go: bounds the memory for their scores (25 MB).
_AT_ONCE = 128


class Lexicon:
    """Words with their vectors; a word that is in no lexicon has a vector too, made of its letters.

    Args:
        folder: holds ``ngrams.npz``, ``lexicon.npz`` and ``lexicon.txt``, as written by `visir.train.export_mini`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _table(self) -> Floats:
        with np.load(self._folder / "ngrams.npz") as file:
            return np.asarray(file["rows"] * file["scales"][:, None], np.float32)

    def vectors_of(self, words: Sequence[str]) -> Floats:
        """Return the vectors (n, d) of words by their letters, each of length 1."""
        rows, starts = bag_rows(words, len(self._table))
        vectors = np.zeros((len(words), self._table.shape[1]), np.float32)
        ends = np.append(starts[1:], len(rows))
        some = np.flatnonzero(ends > starts)
        for at in range(0, len(some), 4096):
            chosen = some[at : at + 4096]
            first, last = starts[chosen[0]], ends[chosen[-1]]
            vectors[chosen] = np.add.reduceat(self._table[rows[first:last]], starts[chosen] - first, axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)

    @cached_property
    def _lexicon(self) -> tuple[list[str], Floats]:
        """The words that can be read, and the logarithm of how often each is written, as a share."""
        lines = (self._folder / "lexicon.txt").read_text(encoding="utf-8").splitlines()
        counts = np.array([float(line.partition("\t")[2]) for line in lines])
        return [line.partition("\t")[0] for line in lines], np.log(counts / counts.sum()).astype(np.float32)

    @cached_property
    def _lexicon_vectors(self) -> Floats:
        """Transposed, times `_SHARPNESS`, and below them the words' shares: one product gives the scores."""
        with np.load(self._folder / "lexicon.npz") as file:
            looks = file["looks"].astype(np.float32)
        looks *= _SHARPNESS / np.linalg.norm(looks, axis=1, keepdims=True)
        return np.ascontiguousarray(np.concatenate([looks, self._lexicon[1][:, None]], 1).T)

    @cached_property
    def _frequency(self) -> dict[str, float]:
        return dict(zip(self._lexicon[0], self._lexicon[1].tolist(), strict=True))

    def rarity_of(self, words: Sequence[str]) -> Floats:
        """Return how much each word tells (n,): minus the logarithm of its share of all writing, at most that of the rarest."""
        rarest = float(self._lexicon[1].min())
        return np.array([-self._frequency.get(fold_word(word), rarest) for word in words], np.float32)

    def shares_of(self, words: Sequence[str]) -> Floats:
        """Return the logarithm of each folded word's share of all writing (n,); minus infinity where it is not in the lexicon."""
        return np.array([self._frequency.get(word, -np.inf) for word in words], np.float32)

    def nearest(self, vectors: Floats, count: int) -> list[list[str]]:
        """Return the ``count`` words that each vector (k, d) most likely is, the likeliest first."""
        names, _ = self._lexicon
        found: list[list[str]] = [[] for _ in vectors]
        for at in range(0, len(vectors), _AT_ONCE):
            scores = self._scores(vectors[at : at + _AT_ONCE])
            rows = np.arange(len(scores))
            for _ in range(count):
                best = scores.argmax(1)
                scores[rows, best] = -np.inf
                for row, number in enumerate(best, at):
                    found[row].append(names[number])
        return found

    def spell(self, vectors: Floats) -> list[str]:
        """Return what words read as by their vectors (k, d) alone; empty where no word of the lexicon looks like it."""
        names, shares = self._lexicon
        found: list[str] = []
        for at in range(0, len(vectors), _AT_ONCE):
            scores = self._scores(vectors[at : at + _AT_ONCE])
            best = scores.argmax(1)
            alike = (scores[np.arange(len(best)), best] - shares[best]) / _SHARPNESS
            found.extend(names[number] if sure else "" for number, sure in zip(best, alike > _LEAST_ALIKE, strict=True))
        return found

    def _scores(self, vectors: Floats) -> Floats:
        return np.asarray(np.concatenate([vectors, np.ones((len(vectors), 1), np.float32)], 1) @ self._lexicon_vectors)
