"""The contrastive loss of stages 1 and 2: InfoNCE one way or both ways, with hard negatives, at any batch size by GradCache."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn
from torch.nn import functional as F

from visir.train.pairs import Features

_MOST = 100.0
"""The largest reciprocal of the temperature, CLIP's (Radford et al. 2021)."""


class PairLoss(CachedLossMixin, nn.Module):
    """InfoNCE over the batch, all processes' together.

    sentence-transformers' `CachedMultipleNegativesRankingLoss` gives the same numbers (tests compare them), but its temperature is fixed
    and the same screenshot under two queries counts as wrong. The caching is theirs (Gao et al. 2021).

    Args:
        model: takes features, returns a dict with ``sentence_embedding`` (n, dim).
        scale: reciprocal of the temperature at the beginning.
        learn_scale: let it move.
        both_ways: also find the query from its screenshot (the paper's stage 1).
        mini_batch: inputs embedded at once; a batch of no more is embedded once, a larger one twice, which bounds memory.
        dims: lengths of leading parts of the vectors that must do the job alone, too (Matryoshka, Kusupati et al. 2022); besides the whole.

    Attributes:
        said: after a call, ``right``, the share of queries whose screenshot came first in the batch, and ``rivals``, the share of negatives
            that lie nearer to their query than 95 % of the right one's cosine: among mined ones, these are likely to be right as well.
    """

    def __init__(self, model: Any, scale: float, learn_scale: bool, both_ways: bool, mini_batch: int, dims: Sequence[int] = ()) -> None:
        super().__init__()
        self.model = model
        self.mini_batch_size = mini_batch
        self.both_ways = both_ways
        self.dims: tuple[int | None, ...] = (None, *dims)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=learn_scale)
        self.said: dict[str, Tensor] = {}

    @property
    def scale(self) -> Tensor:
        """The reciprocal of the temperature."""
        return self.log_scale.exp().clamp(max=_MOST)

    def backward(self, queries: Features, documents: Features, keys: Tensor) -> Tensor:
        """Compute the loss of a batch and add its gradients to the parameters'.

        Args:
            queries: features of n queries.
            documents: features of the n right screenshots, then of the negatives, the same number for each query.
            keys: (m,) numbers of the documents; equal ones are the same screenshot.

        Returns:
            the loss of this process's queries.
        """
        if len(keys) <= self.mini_batch_size:
            reps = [[self.model(features)["sentence_embedding"]] for features in (queries, documents)]
            return self.calculate_loss(reps, keys, with_backward=True)
        loss: Tensor = self.forward_cached([queries, documents], keys)
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        return loss.detach()

    def calculate_loss(self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False) -> Tensor:
        """Compute the loss of vectors in mini-batches: those of the queries, those of the documents; ``labels`` are the documents' keys."""
        assert labels is not None
        queries, documents = (torch.cat(part).float() for part in reps)
        losses = [self._of_vectors(queries[:, :dim], documents[:, :dim], labels) for dim in self.dims]
        with torch.no_grad():
            self.said = _judge(F.normalize(queries.detach(), dim=1), F.normalize(documents.detach(), dim=1), labels)
        loss = torch.stack(losses).mean()
        if with_backward:
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            return loss.detach()
        return loss

    def _of_vectors(self, queries: Tensor, documents: Tensor, keys: Tensor) -> Tensor:
        queries, documents = F.normalize(queries, dim=1), F.normalize(documents, dim=1)
        count, width = len(queries), len(documents)
        all_queries, all_documents, all_keys = _gather(queries), _gather(documents), _gather_plain(keys)
        rank = _rank()
        right = rank * width + torch.arange(count, device=keys.device)
        same = all_keys[right].unsqueeze(1) == all_keys.unsqueeze(0)
        same[torch.arange(count, device=keys.device), right] = False
        forth = F.cross_entropy((self.scale * queries @ all_documents.T).masked_fill(same, -torch.inf), right)
        if not self.both_ways:
            return forth
        positives = all_keys.view(-1, width)[:, :count].flatten()
        own = rank * count + torch.arange(count, device=keys.device)
        same = positives[own].unsqueeze(1) == positives.unsqueeze(0)
        same[torch.arange(count, device=keys.device), own] = False
        back = F.cross_entropy((self.scale * documents[:count] @ all_queries.T).masked_fill(same, -torch.inf), own)
        return 0.5 * (forth + back)


def _judge(queries: Tensor, documents: Tensor, keys: Tensor) -> dict[str, Tensor]:
    count = len(queries)
    cosines = queries @ documents.T
    wrong = keys[:count].unsqueeze(1) != keys.unsqueeze(0)
    own = cosines.diagonal().unsqueeze(1)
    nearest = cosines.masked_fill(~wrong, -torch.inf).amax(1)
    # Mined negatives alone, where there are any: only they can be suspected one by one.
    mined = torch.zeros_like(wrong)
    if len(documents) > count:
        per = (len(documents) - count) // count
        place = torch.arange(count, device=keys.device).unsqueeze(1)
        mined[place, count + place * per + torch.arange(per, device=keys.device)] = True
    asked = wrong & (mined if len(documents) > count else torch.ones_like(wrong))
    rivals = ((cosines > 0.95 * own) & asked).sum() / asked.sum().clamp(min=1)
    return {"right": (own[:, 0] > nearest).float().mean(), "rivals": rivals}


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


class _Gather(torch.autograd.Function):
    """All processes' vectors, one after another; each gets the gradients of all processes' losses."""

    @staticmethod
    def forward(context: Any, vectors: Tensor) -> Tensor:
        return _gather_plain(vectors.contiguous())

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> Tensor:
        [grad] = grads
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad.chunk(dist.get_world_size())[dist.get_rank()]


def _gather(vectors: Tensor) -> Tensor:
    gathered: Tensor = _Gather.apply(vectors) if dist.is_initialized() else vectors  # type: ignore[no-untyped-call]
    return gathered


def _gather_plain(numbers: Tensor) -> Tensor:
    if not dist.is_initialized():
        return numbers
    parts = [torch.zeros_like(numbers) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, numbers)
    return torch.cat(parts)
