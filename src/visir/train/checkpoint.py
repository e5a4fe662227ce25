"""Checkpoints in pieces: safetensors only, every piece small enough to be sent, a truncated one refused."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from visir.errors import ModelError

PIECE = 14_000_000
"""Bytes of a piece at most."""


def save_split(
    folder: Path, name: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], half: bool = False, piece: int = PIECE
) -> None:
    """Write tensors in pieces and ``name.json`` last, which lists them, so that a killed save leaves the old checkpoint valid.

    Args:
        folder: made if it is not there.
        name: what the files begin with.
        tensors: what to save.
        meta: plain values kept in ``name.json``.
        half: store floating numbers in 16 bits.
        piece: bytes of a piece at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = {key: _narrow(key, value) if half and value.is_floating_point() else value.contiguous() for key, value in tensors.items()}
    data = save({key: value.detach().cpu().clone() for key, value in flat.items()})
    old = {path.name for path in folder.glob(f"{name}.*.[0-9][0-9][0-9]")}
    tag = hashlib.blake2b(data, digest_size=4).hexdigest()
    pieces = []
    for number, start in enumerate(range(0, len(data), piece)):
        part = data[start : start + piece]
        file = f"{name}.{tag}.{number:03}"
        (folder / file).write_bytes(part)
        pieces.append({"file": file, "bytes": len(part), "digest": hashlib.blake2b(part, digest_size=16).hexdigest()})
    index = folder / f"{name}.json.new"
    index.write_text(json.dumps({"pieces": pieces, "meta": dict(meta)}, indent=1))
    os.replace(index, folder / f"{name}.json")
    for file in old - {str(entry["file"]) for entry in pieces}:
        (folder / file).unlink()


def load_split(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_split` wrote, 16-bit numbers as 32 bits. Raises `ModelError` on a piece that is missing, short or altered."""
    index = folder / f"{name}.json"
    if not index.is_file():
        raise ModelError(f"{index}: no checkpoint there")
    try:
        content = json.loads(index.read_text())
        entries, meta = content["pieces"], content["meta"]
    except (ValueError, KeyError):
        raise ModelError(f"{index}: not a checkpoint's list of pieces; copy it again") from None
    parts = []
    for entry in entries:
        path = folder / entry["file"]
        part = path.read_bytes() if path.is_file() else b""
        if len(part) != entry["bytes"]:
            raise ModelError(f"{path}: {len(part)} of {entry['bytes']} bytes are there; the checkpoint is truncated, copy it again")
        if hashlib.blake2b(part, digest_size=16).hexdigest() != entry["digest"]:
            raise ModelError(f"{path}: its content is not what was saved; copy the checkpoint again")
        parts.append(part)
    try:
        tensors = load(b"".join(parts))
    except SafetensorError as error:
        raise ModelError(f"{index}: not a safetensors checkpoint ({error})") from None
    return {key: value.float() if value.dtype == torch.float16 else value for key, value in tensors.items()}, meta


def _narrow(key: str, value: Tensor) -> Tensor:
    narrow = value.to(torch.float16)
    if not bool(narrow.isfinite().all()):
        largest = float(value.abs().max())
        raise ModelError(f"{key} does not fit 16 bits (largest value {largest:.3g}): training has diverged; lower the learning rate")
    return narrow.contiguous()


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as tensors named ``<parameter number>.<state>``."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `flatten_optimizer` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
