"""Losses of the reading stage: letters, words, their spelling, where words are, blocks of text and whole pages.

Each takes what a tower says of a batch of practice pages and what is known of them, and returns one number.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visir.unise.letters import BLANK
from visir.unise.mini import pool_boxes


def spelling_loss(columns: Tensor, counts: Tensor, letters: Tensor, sizes: Tensor, groups: int = 4) -> Tensor:
    """How unlikely words are to be spelt as they are written, a letter: connectionist temporal classification (Graves et al. 2006).

    Args:
        columns: (s, classes) logits of all words' columns, one word after another, as `LetterHead.columns` gives them.
        counts: (m,) columns of each word.
        letters: all words' classes, one after another.
        sizes: (m,) letters of each word. A word with more letters than columns is passed over.
        groups: words are padded to the widest among as many of like width.
    """
    seen, starts, firsts = columns.log_softmax(1), counts.cumsum(0) - counts, sizes.cumsum(0) - sizes
    lost = columns.new_zeros(())
    for group in counts.argsort().chunk(groups) if len(counts) else ():
        steps = torch.arange(int(counts[group].max()), device=columns.device).unsqueeze(1)
        padded = F.embedding((starts[group] + steps).clamp(max=len(seen) - 1), seen)
        sized = sizes[group]
        # One gather instead of a slice a word: a GPU would wait for thousands of slices.
        within = torch.arange(int(sized.sum()), device=columns.device) - (sized.cumsum(0) - sized).repeat_interleave(sized)
        spelt = letters[firsts[group].repeat_interleave(sized) + within]
        lost = lost + F.ctc_loss(padded, spelt, counts[group], sized, blank=BLANK, reduction="sum", zero_infinity=True)
    return lost / sizes.sum().clamp(min=1)


def word_loss(pooled: Tensor, vectors: Tensor, which: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast of word places with word vectors, both ways: InfoNCE, with all places of a word as positives on the way back.

    Args:
        pooled: (m, d) the word map pooled over each word's box.
        vectors: (u, d) one vector of length 1 for each different word at these places, all of them; words that stand at none may
            follow, and count as wrong answers.
        which: (m,) the word that stands at each place.
        scale: reciprocal of the temperature.

    Returns:
        the loss, and the share of places whose nearest word is the right one.
    """
    logits = scale * F.normalize(pooled.float(), dim=1) @ vectors.float().T
    forth = F.cross_entropy(logits, which, reduction="sum") / max(1, len(which))
    met = int(which.max()) + 1 if len(which) else 0
    own = logits.gather(1, which.unsqueeze(1)).squeeze(1).float()
    # The places of a word, added up: its own part of the sum over all places.
    highest = own.detach().new_full((met,), -torch.inf).scatter_reduce(0, which, own.detach(), "amax")
    hits = torch.zeros_like(highest).index_add(0, which, (own - F.embedding(which, highest.unsqueeze(1)).squeeze(1)).exp())
    back = torch.logsumexp(logits[:, :met], 0) - (highest + hits.log())
    right = (logits.argmax(1) == which).float().sum() / max(1, len(which)) if len(vectors) else forth.detach()
    return 0.5 * (forth + back.sum() / max(1, met)), right


def spot_targets(boxes: Tensor, owner: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the map of spots should say: heat (n, h, w), each box's cell (m,) and its log distances (m, 4).

    Heat is 1 at the cell of a word's middle and falls off around it, faster up and down, where the next line is near
    (after Zhou et al. 2019).
    """
    n, h, w = shape
    cells = boxes * boxes.new_tensor([w, h, w, h])
    column = ((cells[:, 0] + cells[:, 2]) / 2).long().clamp(0, w - 1)
    row = ((cells[:, 1] + cells[:, 3]) / 2).long().clamp(0, h - 1)
    heat = boxes.new_zeros(n * h * w)
    reach = ((cells[:, 2] - cells[:, 0]) / 6).clamp(0.35, 3.0)
    for dy in (-1, 0, 1):
        for dx in (-2, -1, 0, 1, 2):
            y, x = row + dy, column + dx
            inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
            value = torch.exp(-0.5 * ((dx / reach) ** 2 + (dy / 0.45) ** 2)) * inside
            heat.scatter_reduce_(0, (owner * h + y.clamp(0, h - 1)) * w + x.clamp(0, w - 1), value, "amax")
    middle = torch.stack([column, row], 1) + 0.5
    reach_to = torch.cat([middle - cells[:, :2], cells[:, 2:] - middle], 1).clamp(min=0.1).log()
    return heat.view(n, h, w), (owner * h + row) * w + column, reach_to


def spot_loss(spots: Tensor, boxes: Tensor, owner: Tensor) -> Tensor:
    """Focal loss of the words' middles (Law and Deng 2018) and the error of the distances to their edges."""
    n, _, h, w = spots.shape
    heat, cell, reach = spot_targets(boxes, owner, (n, h, w))
    logit = spots[:, 0].float()
    chance = logit.sigmoid()
    found = F.logsigmoid(logit) * (1 - chance) ** 2 * (heat > 0.999)
    empty = F.logsigmoid(-logit) * chance**2 * (1 - heat) ** 4 * (heat <= 0.999)
    said = spots[:, 1:].float().permute(0, 2, 3, 1).reshape(-1, 4)[cell]
    return -(found.sum() + empty.sum()) / max(1, len(boxes)) + F.smooth_l1_loss(said, reach, beta=0.2)


class VectorQueue(nn.Module):
    """The last vectors of a frozen teacher, as negatives beyond the batch (after He et al. 2020; exact: the teacher does not move)."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.rows: Tensor
        self.at: Tensor
        self.register_buffer("rows", torch.zeros(size, dim))
        self.register_buffer("at", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, vectors: Tensor) -> None:
        """Put vectors in the place of the oldest ones."""
        size = len(self.rows)
        places = (self.at + torch.arange(len(vectors), device=vectors.device)) % size
        self.rows[places[-size:]] = vectors[-size:].float()
        self.at += len(vectors)


def teach_loss(vectors: Tensor, targets: Tensor, queue: VectorQueue, scale: Tensor, alike: float = 0.9) -> Tensor:
    """Bring vectors to their teacher's: InfoNCE against the batch and the queue, and the plain angle between the two.

    Args:
        vectors: (n, d) of length 1.
        targets: (n, d) the teacher's, of length 1.
        queue: earlier targets.
        scale: reciprocal of the temperature.
        alike: targets this near to the right one are no negatives: they are copies or say the same.
    """
    pool = torch.cat([targets, queue.rows])
    with torch.no_grad():
        same = targets @ pool.T > alike
        same[:, : len(targets)].fill_diagonal_(False)
        same[:, len(targets) :] |= queue.rows.abs().sum(1) == 0
    logits = (scale * vectors.float() @ pool.T).masked_fill(same, -torch.inf)
    forth = F.cross_entropy(logits, torch.arange(len(targets), device=targets.device))
    return forth + (1 - (vectors.float() * targets).sum(1)).mean()


def pool_regions(regions: Tensor, boxes: Tensor, owner: Tensor) -> Tensor:
    """Return the mean region vector under each box, normalised: (m, dim)."""
    return F.normalize(pool_boxes(regions, boxes, owner), dim=1)
