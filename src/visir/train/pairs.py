"""Training pairs, and the batches that are drawn from them.

The paper's three kinds are ``caption``: a caption and its screenshot; ``q2s``: a question and the screenshot that answers it; ``sq2s``: a
screenshot with a question, and the screenshot that answers it. Two more teach what its benchmark asks too: ``sqa``: a screenshot with a
question, and the text that answers it; ``label``: a screenshot, and the name of its class. Batch ``i`` of a stage is the same in any
process, at any restart.
"""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visir.screenshot import Query, Screenshot
from visir.unise.instructions import BY_KIND

Kind = Literal["caption", "q2s", "sq2s", "sqa", "label"]
Features = dict[str, Any]
Preprocess = Callable[[list[Any], str], Features]
"""Inputs as `model_input` makes them, and an instruction or nothing -> what a model's forward takes."""


@dataclass(frozen=True)
class Pair:
    """A query and what it should find.

    Args:
        text: the query's text: a caption or a question.
        document: key of the right screenshot; the right text itself, where the kind's answers are texts.
        picture: key of the query's own screenshot, or empty.
        negatives: keys of screenshots that are like the right one and wrong, hardest first.
    """

    text: str
    document: str
    picture: str = ""
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairSet:
    """Pairs of one kind, with the pictures they speak of.

    Args:
        name: what reports call it.
        kind: the kind of all its pairs.
        pairs: the pairs.
        images: encoded pictures by key.
        digest: digest of the data.
    """

    name: str
    kind: Kind
    pairs: Sequence[Pair]
    images: Mapping[str, bytes] = field(repr=False)
    digest: str = ""

    @property
    def instruction(self) -> str:
        """What models that follow instructions are told of the task."""
        return BY_KIND[self.kind]

    def query(self, pair: Pair) -> Query:
        """Return a pair's query."""
        return Query(pair.text, Screenshot(self.images[pair.picture]) if pair.picture else None)

    @property
    def finds_text(self) -> bool:
        """Whether its queries look for texts, not for screenshots."""
        return self.kind in ("sqa", "label")

    def document(self, key: str) -> Screenshot | str:
        """Return what a key of a document stands for."""
        return key if self.finds_text else Screenshot(self.images[key])

    def documents(self) -> list[str]:
        """Return the keys of all right documents, each once, in order."""
        return list(dict.fromkeys(pair.document for pair in self.pairs))

    def halves(self) -> "tuple[PairSet, PairSet]":
        """Return two sets that share no right document."""
        documents = self.documents()
        first, second = (
            replace(self, pairs=[pair for pair in self.pairs if pair.document in some])
            for some in (frozenset(documents[::2]), frozenset(documents[1::2]))
        )
        return first, second


def digest_of(pairs: Sequence[Pair], images: Mapping[str, bytes]) -> str:
    """Return a digest of pairs and of their pictures."""
    state = hashlib.blake2b(digest_size=8)
    for pair in pairs:
        state.update(json.dumps([pair.text, pair.document, pair.picture, pair.negatives]).encode())
    for key in sorted(images):
        state.update(hashlib.blake2b(images[key], digest_size=8, key=key.encode()[:64]).digest())
    return state.hexdigest()


def model_input(query: Query | Screenshot | str) -> Any:
    """Return a query or a document as sentence-transformers models take it."""
    if isinstance(query, str):
        return query
    if isinstance(query, Screenshot):
        return query.image
    if query.image is None:
        return query.text
    return {"image": query.image.image, "text": query.text} if query.text else query.image.image


@dataclass(frozen=True)
class PairBatch:
    """What one step of one process learns from.

    Args:
        name: the set that it was drawn from.
        queries: features of the n queries.
        documents: features of the n right documents, then of the negatives, ``negatives`` for each query.
        keys: (n * (1 + negatives),) numbers of the documents; equal ones are the same.
    """

    name: str
    queries: Features
    documents: Features
    keys: Tensor


class PairBatches(Dataset[PairBatch]):
    """The batches of a stage by number. Each is drawn from one set, so that no kind is told apart by its looks alone.

    Args:
        sets: where pairs come from; larger ones are drawn from more often, ``weights`` times their size.
        weights: one factor for each set.
        steps: how many batches there are.
        batch: pairs of a batch, over all processes.
        negatives: negatives for each query; where a pair has fewer, random documents of its set fill up.
        seed: what the order depends on.
        preprocess: the model's.
        part: (number of this process, processes): each takes its share of every batch.
        mined: take the pairs' own negatives first.
    """

    def __init__(
        self,
        sets: Sequence[PairSet],
        weights: Sequence[float],
        steps: int,
        batch: int,
        negatives: int,
        seed: int,
        preprocess: Preprocess,
        part: tuple[int, int] = (0, 1),
        mined: bool = True,
    ) -> None:
        self._sets, self._negatives, self._seed, self._preprocess = sets, negatives, seed, preprocess
        self._batch, self._part, self._mined = batch, part, mined
        sizes = np.array([len(pairs.pairs) * weight for pairs, weight in zip(sets, weights, strict=True)], np.float64)
        self._which = np.random.default_rng([seed, 1]).choice(len(sets), steps, p=sizes / sizes.sum())
        # The how-manieth batch of its set each batch is: with it, any batch can be drawn without the earlier ones.
        self._turn = np.zeros(steps, np.int64)
        for number in range(len(sets)):
            drawn = self._which == number
            self._turn[drawn] = np.arange(drawn.sum())
        self._documents = [pairs.documents() for pairs in sets]
        self._number = {key: number for number, key in enumerate(dict.fromkeys(key for keys in self._documents for key in keys))}

    def __len__(self) -> int:
        return len(self._which)

    def rows(self, index: int) -> tuple[int, list[int]]:
        """Return which set a batch is drawn from, and the numbers of its pairs; every pair comes once before any comes again."""
        which = int(self._which[index])
        count = len(self._sets[which].pairs)
        places = np.arange(self._turn[index] * self._batch, (self._turn[index] + 1) * self._batch)
        rows = [int(self._order(which, int(place // count))[place % count]) for place in places]
        return which, rows

    def _order(self, which: int, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        key = (which, epoch)
        if key not in (cache := self.__dict__.setdefault("_orders", {})):
            cache.clear()
        return cache.setdefault(key, np.random.default_rng([self._seed, 2, which, epoch]).permutation(len(self._sets[which].pairs)))  # type: ignore[no-any-return]

    def __getitem__(self, index: int) -> PairBatch:
        which, rows = self.rows(index)
        process, processes = self._part
        share = self._batch // processes
        rows = rows[process * share : (process + 1) * share]
        source = self._sets[which]
        pairs = [source.pairs[row] for row in rows]
        keys = [pair.document for pair in pairs]
        for place, pair in enumerate(pairs, process * share):
            keys.extend(self._wrong(which, pair, np.random.default_rng([self._seed, 3, index, place])))
        queries = self._preprocess([model_input(source.query(pair)) for pair in pairs], source.instruction)
        documents = self._preprocess([model_input(source.document(key)) for key in keys], "")
        return PairBatch(source.name, queries, documents, torch.tensor([self._key(key) for key in keys]))

    def _wrong(self, which: int, pair: Pair, rng: np.random.Generator) -> list[str]:
        """Choose a pair's negatives."""
        mined = list(pair.negatives) if self._mined else []
        if len(mined) > self._negatives:
            mined = [mined[place] for place in sorted(rng.choice(len(mined), self._negatives, replace=False))]
        while len(mined) < self._negatives:
            mined.append(self._documents[which][int(rng.integers(len(self._documents[which])))])
        return mined

    def _key(self, key: str) -> int:
        """Return a number for a key; documents that are no answer to anything get one from their name."""
        return self._number.get(key, -1 - int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest(), "big"))


def load_pairs(batches: PairBatches, start: int, workers: int) -> Iterator[PairBatch]:
    """Yield the batches from number ``start`` on, made ahead by worker processes, in order."""
    # Forked processes share the model's processor and the data; others would be sent copies of all.
    forks = "fork" if workers and "fork" in multiprocessing.get_all_start_methods() else None
    yield from DataLoader(
        batches, batch_size=None, sampler=range(start, len(batches)), num_workers=workers,
        prefetch_factor=2 if workers else None, worker_init_fn=_calm if workers else None, multiprocessing_context=forks,
    )  # fmt: skip


def _calm(_: int) -> None:
    torch.set_num_threads(1)
