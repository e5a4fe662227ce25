"""Lay what pages look like as a whole into the space of texts: ``python -m visir.train.gist --help``.

    python -m visir.train.gist data/vira-small src/visir/unise/weights/unise-mini --leave-out news

Reader and text encoder stay as they are. Learnt is one matrix, from a page's gist (`visir.unise.reading.PageReader.glance`) to what is
added to the page's vector, by contrast (InfoNCE) on the pairs of a VIRA set, of all kinds. Length is penalised: what the looks of a page
add must be worth it, or they would name every page of the set, and mislead about others. Written are ``gist.npz`` and, in ``config.json``,
how the new cosines are read; and that only if held-out pairs are found better with it than without.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from visir.errors import ModelError, VisirError
from visir.screenshot import Screenshot
from visir.train.examine import Found, calibrate, judge
from visir.train.export_mini import write_config
from visir.train.pair_loss import PairLoss
from visir.train.pair_recipe import PairStage
from visir.train.pairs import Kind, PairSet
from visir.train.sources import open_source
from visir.train.stages import learning_rate
from visir.unise.gist import MOST
from visir.unise.mini_onnx import MiniEmbedder
from visir.unise.words import Floats
from visir.version import code_version

# How often each kind is drawn, as a factor on its number of pairs: classes are what looks tell most of.
_WEIGHTS: dict[Kind, float] = {"caption": 1.0, "q2s": 1.0, "sq2s": 1.5, "sqa": 1.0, "label": 4.0}
_STAGE = PairStage(tuple(_WEIGHTS), steps=600, batch=512, lr=3e-4, warmup=50)
# The reciprocal of the temperature.
_SCALE = 20.0
# What the mean square of the added length counts. 10 finds more of what the set has, and less of what it has not; docs/log.md.
_SHORT = 15.0
# Parts of a gist that hardly differ between pages count little.
_LEAST_SPREAD = 0.01


class Places:
    """Where texts and pages lie before gists are added; each is embedded once.

    Place 0 is nothing, and its vector is zero.

    Args:
        embedder: a unise-mini. A gist that it knows already is not looked at.
    """

    def __init__(self, embedder: MiniEmbedder) -> None:
        self._embedder = embedder
        self._said: list[Floats] = [np.zeros(embedder.dim, np.float32)]
        self._gists: list[Floats | None] = [None]
        self._texts: dict[tuple[str, bool], int] = {("", True): 0}
        self._pages: dict[str, int] = {"": 0}

    def of_text(self, text: str, asks: bool) -> int:
        """Return the place of a text that asks, or of one that answers."""
        if (text, asks) not in self._texts:
            encode = self._embedder.encode_query if asks else self._embedder.encode_document
            self._texts[text, asks] = self._put(encode([text])[0], None)
        return self._texts[text, asks]

    def of_page(self, pairs: PairSet, key: str) -> int:
        """Return the place of a page of a set."""
        if key not in self._pages:
            self._pages[key] = self._put(*self._embedder.parts_of(Screenshot(pairs.images[key])))
        return self._pages[key]

    def of_pairs(self, pairs: PairSet) -> Tensor:
        """Return the places of pairs (n, 3): the query's text and page, and the document."""
        rows = []
        for number, pair in enumerate(pairs.pairs, 1):
            document = self.of_text(pair.document, asks=False) if pairs.finds_text else self.of_page(pairs, pair.document)
            rows.append((self.of_text(pair.text, asks=True), self.of_page(pairs, pair.picture), document))
            if number % 500 == 0:
                print(f"{pairs.name}: {number:,} of {len(pairs.pairs):,}", file=sys.stderr, flush=True)
        return torch.tensor(rows).reshape(-1, 3)

    def _put(self, said: Floats, gist: Floats | None) -> int:
        self._said.append(said)
        self._gists.append(gist)
        return len(self._said) - 1

    def space(self, seen: Tensor) -> "Space":
        """Return all places as tensors; gists are brought to the mean and spread of the pages among ``seen`` (n,)."""
        pages = torch.tensor([gist is not None for gist in self._gists])
        gists = torch.zeros(len(pages), max(len(gist) for gist in self._gists if gist is not None))
        gists[pages] = torch.from_numpy(np.stack([gist for gist in self._gists if gist is not None]))
        seen = torch.from_numpy(np.unique(seen.numpy()))
        seen = seen[pages[seen]]
        mean, spread = gists[seen].mean(0), gists[seen].std(0) + _LEAST_SPREAD
        gists = ((gists - mean) / spread).clamp(-MOST, MOST) * pages.unsqueeze(1)
        return Space(torch.from_numpy(np.stack(self._said)), gists, mean, spread)


@dataclass(frozen=True)
class Space:
    """Places as tensors.

    Args:
        said: (n, dim) vectors before gists are added.
        gists: (n, g) in units of ``spread`` from ``mean``, both (g,); zero where there is none.
    """

    said: Tensor
    gists: Tensor
    mean: Tensor
    spread: Tensor

    def vectors(self, places: Tensor, rows: Tensor) -> Tensor:
        """Return vectors (m, dim) of length 1, or 0 for nothing; ``rows`` (g, dim) is what is learnt."""
        return F.normalize(self.said[places] + self.gists[places] @ rows, dim=1)

    def queries(self, pairs: Tensor, rows: Tensor) -> Tensor:
        """Return the vectors of the queries of pairs (m, 3): the normalised sum of their parts."""
        return F.normalize(self.vectors(pairs[:, 0], rows) + self.vectors(pairs[:, 1], rows), dim=1)

    def find(self, pairs: Tensor, rows: Tensor) -> Found:
        """Ask for pairs among their own documents; see `visir.train.examine.find`."""
        documents, answer = np.unique(pairs[:, 2].numpy(), return_inverse=True)
        return judge((self.queries(pairs, rows) @ self.vectors(torch.from_numpy(documents), rows).T).numpy(), answer)


def learn(space: Space, pairs: dict[Kind, Tensor], seed: int = 1) -> Tensor:
    """Learn the matrix (g, dim) from pairs (n, 3) of each kind."""
    rng = np.random.default_rng(seed)
    rows = torch.zeros(space.gists.shape[1], space.said.shape[1], requires_grad=True)
    optimizer = torch.optim.AdamW([rows], lr=_STAGE.lr, betas=(0.9, 0.98), weight_decay=0.0)
    contrast = PairLoss(None, _SCALE, learn_scale=False, both_ways=False, mini_batch=_STAGE.batch)
    kinds = list(pairs)
    weights = np.array([len(pairs[kind]) * _WEIGHTS[kind] for kind in kinds])
    chances = weights / weights.sum()
    for step in range(_STAGE.steps):
        kind = kinds[rng.choice(len(kinds), p=chances)]
        batch = pairs[kind][torch.from_numpy(rng.permutation(len(pairs[kind]))[: _STAGE.batch])]
        contrast.both_ways = kind == "caption"
        loss = contrast.calculate_loss([[space.queries(batch, rows)], [space.vectors(batch[:, 2], rows)]], batch[:, 2])
        gists = space.gists[batch[:, 1:].flatten()]
        loss = loss + _SHORT * (gists[gists.any(1)] @ rows).square().sum(1).mean()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(_STAGE, step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        optimizer.step()
    return rows.detach()


def learn_gist(data: str, folder: Path, leave_out: Sequence[str] = (), most: int = 0) -> dict[Kind, tuple[float, float]]:
    """Learn from a VIRA set, and write ``gist.npz`` into a model folder.

    Args:
        data: folder of the set.
        folder: of the model.
        leave_out: domains that are not learnt from.
        most: pairs of each kind at most, drawn from all, and a fifth as many held-out ones; 0 for all. Their pages have to be read.

    Returns:
        by kind, Recall@1 of held-out pairs without and with it.

    Raises:
        ModelError: the folder holds no unise-mini, there is no such set, or held-out pairs are not found better.
    """
    if not (folder / "tower.onnx").is_file():
        raise ModelError(f"{folder}: holds no unise-mini, whose pages have gists: there is no tower.onnx")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    places = Places(MiniEmbedder(folder, config))
    held = [_drawn(pairs, -(-most // 5)) for pairs in open_source(data, "held", leave_out)]
    sets = [_drawn(pairs, most) for pairs in open_source(data, "train", leave_out)]
    asked = {pairs.kind: places.of_pairs(pairs) for pairs in held}
    pairs = {one.kind: places.of_pairs(one) for one in sets}
    space = places.space(torch.cat([part.flatten() for part in pairs.values()]))
    learnt = learn(space, pairs)
    scales = learnt.abs().amax(0).clamp(min=1e-9) / 127
    small = (learnt / scales).round()
    found = {kind: (space.find(part, torch.zeros_like(learnt)), space.find(part, small * scales)) for kind, part in asked.items()}
    recalls = {kind: (before.recall, after.recall) for kind, (before, after) in found.items()}
    if not sum(after - before for before, after in recalls.values()) > 0:
        raise ModelError(f"{folder}: gists were not added, for held-out pairs are found no better with them: {tell(recalls)}")
    np.savez_compressed(
        folder / "gist.npz", rows=small.numpy().astype(np.int8), scales=scales.numpy(), mean=space.mean.numpy(), spread=space.spread.numpy()
    )
    curves = calibrate({kind: after for kind, (_, after) in found.items()}, config["calibration"])
    digests = {one.name: one.digest for one in sets}
    made = {"data": digests, "most": most, "leave_out": list(leave_out), "held": recalls, "commit": code_version()}
    write_config(folder, gist="gist.npz", calibration=curves, gist_made_by=made)
    return recalls


def _drawn(pairs: PairSet, most: int) -> PairSet:
    """Return a set with as many of its pairs at most, in their order."""
    if not 0 < most < len(pairs.pairs):
        return pairs
    chosen = np.sort(np.random.default_rng(1).permutation(len(pairs.pairs))[:most])
    return replace(pairs, pairs=[pairs.pairs[number] for number in chosen])


def tell(recalls: dict[Kind, tuple[float, float]]) -> str:
    """Say recalls in words."""
    return ", ".join(f"{kind} {before:.3f} to {after:.3f}" for kind, (before, after) in recalls.items())


def main() -> None:
    """Learn from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a folder that `visir vira build` wrote")
    parser.add_argument("folder", type=Path, help="folder of unise-mini")
    parser.add_argument(
        "--leave-out", nargs="*", default=[], metavar="DOMAIN", help="domains that are not learnt from, as for their licence"
    )
    parser.add_argument("--most", type=int, default=0, metavar="PAIRS", help="pairs of each kind at most; 0, all, where not given")
    options = parser.parse_args()
    try:
        print(f"held-out pairs, Recall@1: {tell(learn_gist(options.data, options.folder, options.leave_out, options.most))}")
    except VisirError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
