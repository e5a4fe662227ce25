"""unise-mini: a page tower small enough for a laptop's processor and fine enough to read 10-pixel type.

One tower looks at a page and gives five things at once:

* ``page``: one vector a page, in the space of the text tower (all-MiniLM-L6-v2), as UniSE wants it;
* ``regions``: a coarse grid of vectors in the same space, for late interaction and for showing where a page matches;
* ``words``: a fine map in the space of `WordEncoder`, in which a word on the page lies near the same word in a query;
* ``spots``: for every place of the fine map, whether a word stands there and how far its edges are;
* letters: what each column of a word shows (`LetterHead`), which spells it.

The word space follows word spotting: a word is the sum of its letter n-grams (Almazan et al. 2014; Wilkinson and Brun 2016), so a word that
was never seen in training still has a vector.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visir.unise.letters import CLASSES, PARTS
from visir.unise.words import bag_rows

_KINDS = ("pyramid", "vit")


@dataclass(frozen=True)
class MiniConfig:
    """The shape of a tower.

    Args:
        kind: ``pyramid`` (convolutions down to stride 32) or ``vit`` (a transformer on 16-pixel patches).
        widths: channels at strides 4, 8, 16 and 32; a ``vit`` uses the third alone.
        depths: blocks at the same strides; a ``vit`` uses the third alone.
        attention: how many of a pyramid's last blocks are transformer layers; the others are convolutions.
        light: depthwise blocks at strides 8 and 16, as mobile nets have them, instead of full 3 x 3 convolutions.
        heads: heads of each attention.
        dim: size of page and region vectors: the text tower's.
        word_dim: size of word vectors.
        buckets: rows of the n-gram table of `WordEncoder`.
        pixels: area in pixels that a page is brought to: 896 x 640 shows 10-point type of an A4 page 10.6 pixels high.
    """

    kind: str = "pyramid"
    widths: tuple[int, int, int, int] = (48, 128, 256, 384)
    depths: tuple[int, int, int, int] = (1, 2, 2, 9)
    attention: int = 1
    light: bool = False
    heads: int = 6
    dim: int = 384
    word_dim: int = 128
    buckets: int = 16384
    pixels: int = 896 * 640

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"unknown kind of tower {self.kind!r}: choose one of {', '.join(_KINDS)}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "MiniConfig":
        """Make a config of what a recipe or a model's folder says; lists become tuples."""
        return cls(**{key: cast(Any, tuple(value) if isinstance(value, list) else value) for key, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain values, for JSON."""
        return asdict(self)


class MiniOutput(NamedTuple):
    """What a tower says of a batch of n pages of h x w pixels.

    page: (n, dim), of length 1. regions: (n, dim, h/32, w/32), each of length 1.
    words: (n, word_dim, h/8, w/8), raw: pool, then normalise.
    spots: (n, 5, h/8, w/8): logit of "a word's middle", then log distances to its
    left, top, right and bottom edge in units of 8 pixels (`words.FINE`).
    """

    page: Tensor
    regions: Tensor
    words: Tensor
    spots: Tensor


def to_input(images: Tensor) -> Tensor:
    """Turn uint8 pages (n, h, w, 3) into what a tower takes: float (n, 3, h, w), about -1 to 1, channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).sub_(127.5).div_(127.5)


def compose(*parts: Tensor) -> Tensor:
    """Join the vectors (n, dim) of a query's text and picture: the normalised sum of the normalised parts, as in the paper."""
    return F.normalize(torch.stack([F.normalize(part, dim=1) for part in parts]).sum(0), dim=1)


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside, momentum=0.02),
    ]
    if act:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Basic(nn.Module):
    """Two full 3 x 3 convolutions and a bypass (He et al. 2016): of all blocks the fastest per multiplication in int8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(width, width, 3), _conv(width, width, 3, act=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return F.relu(x + cast(Tensor, self.body(x)))


class Inverted(nn.Module):
    """A wide view channel by channel, then a wide mixing of channels, and a bypass (after Liu et al. 2022)."""

    def __init__(self, width: int, kernel: int = 7, grow: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width, kernel, groups=width, act=False), _conv(width, width * grow, 1), _conv(width * grow, width, 1, act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return cast(Tensor, x + self.body(x))


class Attention(nn.Module):
    """Pre-norm transformer layer over a map; a depthwise convolution tells positions (Chu et al. 2021), so that any page size fits."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.place = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        x = x + self.place(x)
        n, c, h, w = x.shape
        tokens: Tensor = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm1(tokens)).reshape(n, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        tokens = tokens + self.out(mixed)
        tokens = tokens + cast(Tensor, self.mlp(self.norm2(tokens)))
        return tokens.transpose(1, 2).reshape(n, c, h, w)


class PagePool(nn.Module):
    """One learned question asked of all places of a map; the answer is the page's vector."""

    def __init__(self, width: int, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.score, self.value = nn.Linear(width, heads), nn.Linear(width, heads * dim)
        self.out = nn.Linear(heads * dim, dim)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Turn a map (n, c, h, w) into vectors (n, dim)."""
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        weights = self.score(tokens).softmax(1)
        values = torch.einsum("nth,ntc->nhc", weights, tokens)
        weight, bias = self.value.weight.view(self.heads, self.dim, -1), self.value.bias.view(self.heads, self.dim)
        return cast(Tensor, self.out((torch.einsum("nhc,hdc->nhd", values, weight) + bias).flatten(1)))


class LetterHead(nn.Module):
    """Names the letter in each column of a word (`visir.unise.letters`): a linear map of the fine map's cell for each column of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.name = nn.Linear(width, PARTS * CLASSES)

    def at(self, fine: Tensor, places: Tensor, owner: Tensor) -> Tensor:
        """Return logits (m, CLASSES) for ``places`` (m, 2), in fractions, on pages ``owner`` (m,) of ``fine`` (n, c, h, w)."""
        h, w = fine.shape[2:]
        x, y = (places[:, 0] * w).clamp(0, w - 1e-3), (places[:, 1] * h).clamp(0, h - 1e-3)
        return self._name(fine, (owner * h + y.long()) * w + x.long(), ((x - x.floor()) * PARTS).long())

    def columns(self, fine: Tensor, boxes: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (s, CLASSES) of the columns along the middles of ``boxes`` (m, 4), in fractions, and how many each has (m,)."""
        h, w = fine.shape[2:]
        row = ((boxes[:, 1] + boxes[:, 3]) * (h / 2)).long().clamp(0, h - 1)
        first = (boxes[:, 0] * (w * PARTS)).long().clamp(0, w * PARTS - 1)
        count = ((boxes[:, 2] * (w * PARTS)).ceil().long().clamp(max=w * PARTS) - first).clamp(min=1)
        starts = (count.cumsum(0) - count).repeat_interleave(count)
        column = first.repeat_interleave(count) + torch.arange(len(starts), device=fine.device) - starts
        return self._name(fine, ((owner * h + row) * w).repeat_interleave(count) + column // PARTS, column % PARTS), count

    def _name(self, fine: Tensor, cell: Tensor, part: Tensor) -> Tensor:
        """Name the columns ``part`` (m,) of cells (m,), counted through all pages; those of one part go through its map together."""
        cells = fine.permute(0, 2, 3, 1).flatten(0, 2)
        order = part.argsort(stable=True)
        sizes = torch.bincount(part, minlength=PARTS).tolist()
        weights, biases = torch.split(self.name.weight, CLASSES), torch.split(self.name.bias, CLASSES)
        maps = zip(torch.split(cells[cell[order]], sizes), weights, biases, strict=True)
        named = torch.cat([F.linear(seen, weight, bias) for seen, weight, bias in maps])
        return named.float()[order.argsort()]


class MiniTower(nn.Module):
    """The page tower; `MiniConfig` says which.

    Inputs: float (n, 3, h, w) from `to_input`, h and w multiples of `COARSE`. Output: `MiniOutput`.
    """

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = _Patches(config) if config.kind == "vit" else _Pyramid(config)
        fine, coarse = self.trunk.fine_width, self.trunk.coarse_width
        self.words = nn.Sequential(_conv(fine, fine, 3), nn.Conv2d(fine, config.word_dim, 1))
        self.spots = nn.Sequential(_conv(fine, fine // 2, 3), nn.Conv2d(fine // 2, 5, 1))
        self.letters = LetterHead(fine)
        self.regions = nn.Conv2d(coarse, config.dim, 1)
        self.page = PagePool(coarse, config.dim, 4)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fine map (n, c, h/8, w/8) and the coarse map (n, c, h/32, w/32) below the heads."""
        fine, middle = self.trunk.read(images)
        return fine, self.trunk.understand(middle)

    def tell(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Turn the coarse map into page vectors and region vectors."""
        return F.normalize(self.page(coarse), dim=1), F.normalize(self.regions(coarse), dim=1)

    def forward(self, images: Tensor) -> MiniOutput:
        """Look at pages; see the class."""
        fine, coarse = self.features(images)
        return MiniOutput(*self.tell(coarse), self.words(fine), self.spots(fine))


class _Pyramid(nn.Module):
    """Convolutions down to stride 32, the last blocks there a transformer; strides 8 and 16 make the fine map."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        w4, w8, w16, w32 = config.widths
        d4, d8, d16, d32 = config.depths
        self.fine_width, self.coarse_width = w8, w32
        self.stem = nn.Sequential(_conv(3, 32, 3, 2), _conv(32, w4, 3, 2), *(Basic(w4) for _ in range(d4)))
        block = partial(Inverted, kernel=5, grow=3) if config.light else Basic
        self.stage8 = nn.Sequential(_conv(w4, w8, 3, 2), *(block(w8) for _ in range(d8)))
        self.stage16 = nn.Sequential(_conv(w8, w16, 3, 2), *(block(w16) for _ in range(d16)))
        last = [Inverted(w32) if i < d32 - config.attention else Attention(w32, config.heads) for i in range(d32)]
        self.stage32 = nn.Sequential(_conv(w16, w32, 3, 2, act=False), *last)
        self.lateral = nn.Conv2d(w16, w8, 1)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fine map and what `understand` goes on from."""
        eight = self.stage8(self.stem(images))
        sixteen: Tensor = self.stage16(eight)
        return F.relu(eight + F.interpolate(self.lateral(sixteen), scale_factor=2.0, mode="nearest")), sixteen

    def understand(self, middle: Tensor) -> Tensor:
        """Return the coarse map."""
        return cast(Tensor, self.stage32(middle))


class _Patches(nn.Module):
    """A plain vision transformer on 16-pixel patches (Dosovitskiy et al. 2021); its tokens are unfolded into the fine map."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        width = config.widths[2]
        self.fine_width, self.coarse_width = config.widths[1], width
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.layers = nn.Sequential(*(Attention(width, config.heads) for _ in range(config.depths[2])))
        self.unfold = nn.Conv2d(width, 4 * config.widths[1], 1)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fine map and what `understand` goes on from."""
        tokens: Tensor = self.layers(self.patch(images))
        return F.relu(F.pixel_shuffle(self.unfold(tokens), 2)), tokens

    def understand(self, middle: Tensor) -> Tensor:
        """Return the coarse map."""
        return F.avg_pool2d(middle, 2)


class WordEncoder(nn.Module):
    """Vectors of words by their letters: the sum of the rows of their n-grams, normalised. (m words) -> (m, word_dim).

    The table is the query side of the word map: 2 MB in int8, and looking a word up takes microseconds without torch.
    """

    def __init__(self, buckets: int, dim: int) -> None:
        super().__init__()
        self.buckets = buckets
        self.table = nn.EmbeddingBag(buckets, dim, mode="sum")
        nn.init.normal_(self.table.weight, std=dim**-0.5)

    def forward(self, words: Sequence[str]) -> Tensor:
        """Return the words' vectors."""
        rows, offsets = bag_rows(words, self.buckets)
        device = self.table.weight.device
        bags = self.table(torch.from_numpy(rows).to(device), torch.from_numpy(offsets).to(device))
        return F.normalize(bags.float(), dim=1)


def pool_boxes(feature: Tensor, boxes: Tensor, owner: Tensor) -> Tensor:
    """Average a map over boxes, each cell weighted by the share of it that the box covers.

    Args:
        feature: (n, c, h, w).
        boxes: (m, 4) left, top, right, bottom in fractions of the page.
        owner: (m,) the page that each box is on.

    Returns:
        (m, c). Exact for any box: an integral image is read between its cells, so small boxes count as much as large ones.
    """
    n, c, h, w = feature.shape
    # Channels last, as the map lies in memory: a GPU adds up along the rows of it nine times as fast.
    integral = F.pad(feature.permute(0, 2, 3, 1).float().cumsum(1).cumsum(2), (0, 0, 1, 0, 1, 0))
    flat = integral.reshape(n * (h + 1) * (w + 1), c)
    scale = boxes.new_tensor([w, h, w, h])
    left, top, right, bottom = (boxes * scale).unbind(1)
    right, bottom = torch.maximum(right, left + 0.05), torch.maximum(bottom, top + 0.05)

    def read(y: Tensor, x: Tensor) -> Tensor:
        y, x = y.clamp(0, h), x.clamp(0, w)
        y0, x0 = y.floor().clamp(max=h - 1), x.floor().clamp(max=w - 1)
        fy, fx = (y - y0).unsqueeze(1), (x - x0).unsqueeze(1)
        at = ((owner * (h + 1) + y0.long()) * (w + 1) + x0.long()).unsqueeze(1) + torch.tensor([0, 1, w + 1, w + 2], device=y.device)
        # An embedding's gradients are added up in an order; those of an index wait for one another.
        a, b, d, e = F.embedding(at, flat).unbind(1)
        return (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * d + fx * e)

    total = read(bottom, right) - read(top, right) - read(bottom, left) + read(top, left)
    return total / ((right - left) * (bottom - top)).unsqueeze(1)
