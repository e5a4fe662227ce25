"""ONNX files in OpenVINO, called as onnxruntime's sessions are: several times as fast where the processor has matrix units (AMX)."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from visir.errors import ModelError
from visir.unise.onnx import told_threads


class VinoSession:
    """An ONNX file compiled by OpenVINO.

    Args:
        path: the file.
        exact: compute in 32 bits; else in bf16 where the processor can, which swaps near neighbours.

    Raises:
        ModelError: the file is missing or damaged, or OpenVINO is not installed.
    """

    def __init__(self, path: Path, exact: bool = False) -> None:
        choices: dict[str, Any] = {"INFERENCE_NUM_THREADS": told_threads()}
        if exact:
            # On one thread OpenVINO 2026.4 dies while it makes "snippets" of a learned fusion in 32 bits, and is no slower without.
            choices |= {"INFERENCE_PRECISION_HINT": "f32", "SNIPPETS_MODE": "DISABLE"}
        try:
            self._model = _core().compile_model(str(path), "CPU", choices)
        except ImportError as error:
            raise ModelError("OpenVINO is not installed: pip install 'visir[openvino]'") from error
        except RuntimeError as error:
            raise ModelError(
                f"{path} is missing or damaged: {str(error).splitlines()[0]}; install visir or export the model again"
            ) from error
        self._turn = Lock()  # a compiled model answers one caller at a time

    def run(self, names: Sequence[str] | None, feeds: dict[str, Any]) -> list[Any]:
        """Return the named outputs, all of them in their order where none is named."""
        with self._turn:
            made = self._model(feeds)
        return [np.asarray(made[name]) for name in (names or range(len(made)))]


@cache
def _core() -> Any:
    """Return OpenVINO's core, one for as long as the process lives.

    With AMX each core gives the thread a stack for its signals, and gives back what was there before when it ends: of two that end in the
    order in which they began, the second leaves the stack of the first, which is gone, and the next signal (Ctrl-C) kills the process.
    """
    import openvino

    return openvino.Core()
