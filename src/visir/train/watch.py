"""The paper's failure signatures, looked for while a model trains.

Small type that the pixel budget makes unreadable; general features that are forgotten; a loss that stalls or oscillates, which in stage 2
points at false negatives among the mined ones. The paper names the signs; the thresholds here are ours.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

LEAST_TYPE = 8.0
"""Pixels from line to line below which no letter can be told from another: x-height is two fifths of it."""
_WINDOW = 40
_RIVALS = 0.2
_KEPT = 0.8


def line_pitch(image: Image.Image) -> float | None:
    """Return the distance in pixels from line to line of a page's text, or ``None`` where it has no lines of text.

    It is the first peak of the autocorrelation of how much changes along each row of pixels, the median over strips of the page.
    """
    grey = np.asarray(image.convert("L"), np.float32)
    found = []
    for left in range(0, grey.shape[1] - 15, max(16, grey.shape[1] // 8)):
        strip = grey[:, left : left + max(16, grey.shape[1] // 8)]
        ink = np.abs(np.diff(strip, axis=1)).mean(1)
        ink = ink - ink.mean()
        if len(ink) < 24 or float(np.abs(ink).max()) < 2.0:
            continue
        spread = np.fft.irfft(np.abs(np.fft.rfft(ink, 2 * len(ink))) ** 2)[: len(ink) // 3]
        spread = spread / max(float(spread[0]), 1e-9)
        peaks = [lag for lag in range(4, len(spread) - 1) if spread[lag - 1] < spread[lag] >= spread[lag + 1] and spread[lag] > 0.25]
        if peaks:
            found.append(float(peaks[0]))
    return float(np.median(found)) if found else None


def check_type(pages: Sequence[Image.Image], seen_height: Callable[[Image.Image], int], fixed: bool = False) -> str | None:
    """Return a warning where the model sees the median page's lines too near to one another to be read.

    Args:
        pages: some pages of the data.
        seen_height: says how many pixels high a page is for the model.
        fixed: the model takes pictures of one size, whatever the pixel budget.
    """
    pitches = [(pitch, page) for page in pages if (pitch := line_pitch(page)) is not None]
    if len(pitches) < max(3, len(pages) // 4):
        return None
    seen = sorted((pitch * seen_height(page) / page.height, pitch) for pitch, page in pitches)
    there, on_page = seen[len(seen) // 2]
    if there >= LEAST_TYPE:
        return None
    if fixed:
        cause, remedy = "pictures are", "Their size is fixed: choose a model that takes larger pictures, or pages with larger type"
    else:
        cause, remedy = "pixel budget is", f"Raise model.pixels by {(LEAST_TYPE / there) ** 2:.1f} times"
    return (
        f"the model's {cause} too small for the type: lines stand {on_page:.0f} pixels apart on the median page and the model sees them "
        f"{there:.1f} apart; below {LEAST_TYPE:.0f} it cannot read. {remedy}"
    )


class Watch:
    """Looks at a run's numbers and says what is going wrong, each thing once until it has passed."""

    def __init__(self) -> None:
        # By set: batches of different kinds have different losses, which is no swinging.
        self._losses: dict[str, deque[float]] = {}
        self._rivals: dict[str, deque[float]] = {}
        self._said: set[str] = set()

    def stage(self) -> None:
        """Forget the losses of the stage before."""
        self._losses.clear()
        self._rivals.clear()

    def step(self, name: str, row: dict[str, Any]) -> list[str]:
        """Take in the ``loss`` and ``rivals`` of a step that learnt from the set ``name``; returns new warnings."""
        losses = self._losses.setdefault(name, deque(maxlen=2 * _WINDOW))
        near = self._rivals.setdefault(name, deque(maxlen=_WINDOW))
        losses.append(float(row["loss"]))
        near.append(float(row["rivals"]))
        if len(losses) < 2 * _WINDOW:
            return []
        before, now = np.array(losses)[:_WINDOW], np.array(losses)[_WINDOW:]
        rivals = float(np.mean(near))
        hint = (
            f"; {rivals:.0%} of the negatives lie as near to their query as the right screenshot: look for false negatives among the mined "
            "ones, or mine further down the list"
            if rivals > _RIVALS
            else "; few negatives lie near the right screenshot: lower or raise the learning rate, or look at the data"
        )
        noise = float(np.std(np.diff(now)))  # of the same steps as the level it is measured by: a steep fall before them is no noise
        stalls = now.mean() > 0.3 and before.mean() - now.mean() < max(0.01 * before.mean(), 0.1 * noise / np.sqrt(_WINDOW))
        swings = now.mean() > 0.3 and noise > 0.7 * now.mean()
        stalled = self._new(f"stall {name}", bool(stalls), f"the loss on {name} stalls at {now.mean():.3f}{hint}")
        return stalled + self._new(
            f"swing {name}", bool(swings), f"the loss on {name} swings by {noise:.3f} a step around {now.mean():.3f}{hint}"
        )

    def examined(self, numbers: dict[str, float]) -> list[str]:
        """Take in what `Probe.ask` returned; returns new warnings."""
        if "probe_recall" not in numbers:
            return []
        before, now = numbers["probe_best"], numbers["probe_recall"]
        lost = before > 0.1 and now < _KEPT * before
        return self._new(
            "forget",
            lost,
            f"general features are being forgotten: of the probe's captions {now:.0%} find their picture, {before:.0%} did at "
            "best; lower the learning rate, or train adapters (model.lora)",
        )

    def _new(self, name: str, there: bool, message: str) -> list[str]:
        if not there:
            self._said.discard(name)
            return []
        if name in self._said:
            return []
        self._said.add(name)
        return [message]
