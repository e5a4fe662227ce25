"""Turn a run of the reading stage into the files that visir reads pages with: ``python -m visir.train.export_mini --help``.

    python -m visir.train.export_mini runs/mini src/visir/unise/weights/unise-mini --pack data/practice.zip

Written are ``tower.onnx`` (static int8, weights by channel, scales found on practice pages), ``ngrams.npz`` (the table of letter n-grams,
int8 by row), ``letters.npz`` (the letter head, int8 by row), ``lexicon.txt`` (words and how often they are written), ``lexicon.npz`` (their
vectors, int8) and ``config.json``; a folder without a text encoder is given the one that ships. The tower in 8 bits must make the maps
of the tower in 32.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from visir.errors import ModelError
from visir.train.checkpoint import load_split
from visir.train.command import run_on_folders
from visir.train.reading_eval import load_model
from visir.unise.embedder import WEIGHTS
from visir.unise.export import write_graph
from visir.unise.lexicon import Lexicon
from visir.unise.mini import MiniTower, to_input
from visir.unise.onnx import ENCODER, open_session
from visir.unise.words import fold_word
from visir.version import code_version
from visir.vira.practice import Pack, PageSpec, render_page

_OPSET = 18
_PLAIN = re.compile(r"[^\W\d_]+(['’-][^\W\d_]+)*|\d{1,4}")
# Shares of words are written as so many of these.
_SHARE = 1e-7
_CALIBRATION_PAGES = 48
_CALIBRATION_SEED = 97
_CHECK_PAGES, _CHECK_SEED = 8, 98
_MAPS = "words", "spots", "fine"
# What the shipped tower reads was measured at a cosine of .995; see docs/log.md.
_LEAST_COSINE = 0.99
_NEW = {
    "kind": "unise-mini",
    "name": "unise-mini",
    "revision": "",
    "dim": 384,
    "calibration": {"text": (0.4, 0.08), "picture": (0.65, 0.08), "both": (0.5, 0.09)},
    "present": (0.58, 0.05),
}


class _Reader(nn.Module):
    """The part of a tower that reads: uint8 (1, h, w, 3) to the maps of words and spots, and the fine map that letters are read from."""

    def __init__(self, tower: MiniTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine, _ = self.tower.trunk.read(to_input(image))
        return self.tower.words(fine), self.tower.spots(fine), fine


def fold_norms(module: nn.Module) -> None:
    """Fold batch norms into the convolutions before them, in place."""
    for child in module.children():
        fold_norms(child)
    if isinstance(module, nn.Sequential):
        for at in range(len(module) - 1):
            conv, norm = module[at], module[at + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[at], module[at + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def export_tower(tower: MiniTower, pack: Pack, target: Path) -> None:
    """Write the reading part of a tower as static int8 ONNX, if its maps are those of the tower in 32 bits.

    Args:
        tower: in evaluation mode; its batch norms are folded.
        pack: gives the pages on which the ranges of activations are found.
        target: the file.

    Raises:
        ModelError: one of them strays too far, on pages that the calibration did not see.
    """
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    fold_norms(tower)
    reader = _Reader(tower).eval()
    high, wide = torch.export.Dim("high", min=2, max=256), torch.export.Dim("wide", min=2, max=256)
    with tempfile.TemporaryDirectory() as scratch:
        exact, ready, small = (Path(scratch, f"{name}.onnx") for name in ("exact", "ready", "small"))
        write_graph(
            reader,
            (torch.zeros(1, 320, 256, 3, dtype=torch.uint8),),
            exact,
            dynamic_shapes={"image": {1: 32 * high, 2: 32 * wide}},
            input_names=["image"],
            output_names=list(_MAPS),
            opset_version=_OPSET,
        )
        quant_pre_process(exact, ready, skip_symbolic_shape=True)

        class Pages(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self._pages = _pages(pack, _CALIBRATION_SEED, _CALIBRATION_PAGES)

            def get_next(self) -> dict[str, Any] | None:
                return next(self._pages, None)

        quantize_static(
            ready,
            small,
            Pages(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": 99.99},
        )
        alike = _compare_maps(reader, small, pack)
        if min(alike.values()) < _LEAST_COSINE:
            told = ", ".join(f"{name} {value:.4f}" for name, value in alike.items())
            raise ModelError(f"the tower in 8 bits strays too far from itself in 32: cosines of its maps {told}, at least {_LEAST_COSINE}")
        shutil.copyfile(small, target)


@torch.no_grad()
def _compare_maps(reader: nn.Module, exported: Path, pack: Pack) -> dict[str, float]:
    """Return by name the mean cosine of the maps that a tower and its exported file make of the same pages."""
    session, flat, cosines = open_session(exported), torch.flatten, []
    for page in _pages(pack, _CHECK_SEED, _CHECK_PAGES):
        ours = reader(torch.from_numpy(page["image"].copy()))
        theirs = [torch.from_numpy(made) for made in session.run(list(_MAPS), page)]
        cosines.append([float(F.cosine_similarity(*pair, dim=0)) for pair in zip(map(flat, ours), map(flat, theirs), strict=True)])
    return dict(zip(_MAPS, np.mean(cosines, 0).tolist(), strict=True))


def _pages(pack: Pack, seed: int, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"image": render_page(pack, PageSpec(448, 320, 1.0), seed, number).image[None]}


def _rows(weight: Tensor) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a matrix in 8 bits, and a scale for each row."""
    table = weight.detach().numpy()
    scales = np.abs(table).max(1) / 127
    return np.round(table / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def word_shares(pack: Pack, least: float = 1e-6) -> dict[str, float]:
    """Return the folded words that can be read, and the share that each has of all that is written, the likeliest first.

    Half of the share is what it has of the pack's texts, half what it has of all writing, of which half is English. Words are of letters,
    or of few digits.

    Args:
        pack: where the texts are; where it has no shares of all writing, its texts alone count.
        least: words that are rarer are left out.
    """
    written = Counter(word for texts in pack.texts.values() for _, text in texts for word in text.split())
    parts: list[tuple[float, Mapping[str, float]]] = [(1.0, written)]
    others = [language for language, told in pack.shares.items() if told and language != "en"]
    for language in ("en", *others) if others else ():
        parts.append((0.5 if language == "en" else 0.5 / len(others), pack.shares[language]))
    shares: defaultdict[str, float] = defaultdict(float)
    for weight, told in parts:
        whole = sum(told.values())
        for word, count in told.items():
            folded = fold_word(word)
            if _PLAIN.fullmatch(folded):
                shares[folded] += weight * count / whole / (2 if others else 1)
    return {word: share for word, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])) if share >= least}


def write_lexicon(folder: Path, pack: Pack) -> None:
    """Write ``lexicon.txt`` and ``lexicon.npz`` of a model folder whose ``ngrams.npz`` is there."""
    shares = word_shares(pack)
    looks = Lexicon(folder).vectors_of(list(shares))
    np.savez_compressed(folder / "lexicon.npz", looks=np.round(127 * looks).astype(np.int8))
    lines = (f"{word}\t{share / _SHARE:.0f}\n" for word, share in shares.items())
    (folder / "lexicon.txt").write_text("".join(lines), encoding="utf-8")


def export_run(run: Path, folder: Path, pack_path: Path) -> None:
    """Write all files of a model folder.

    Raises:
        ModelError: the run or the pack is missing or damaged.
    """
    model = load_model(run)
    meta = load_split(run, "weights")[1]
    pack = Pack.open(pack_path, "train")
    folder.mkdir(parents=True, exist_ok=True)
    export_tower(model.tower, pack, folder / "tower.onnx")
    rows, scales = _rows(model.encoder.table.weight)
    np.savez_compressed(folder / "ngrams.npz", rows=rows, scales=scales)
    letters = model.tower.letters.name
    rows, scales = _rows(letters.weight)
    np.savez_compressed(folder / "letters.npz", rows=rows, scales=scales, bias=letters.bias.detach().numpy())
    write_lexicon(folder, pack)
    made = {"steps": meta["step"], "pages": meta["pages"], "model": meta["model"], "pack": _digest(pack_path), "commit": code_version()}
    if not (folder / ENCODER).is_dir():
        shutil.copytree(WEIGHTS / "unise-mini" / ENCODER, folder / ENCODER)
    # What gists say of a page was learnt from the tower that was here before.
    (folder / "gist.npz").unlink(missing_ok=True)
    write_config(folder, pixels=meta["model"]["pixels"], made_by=made, gist="", gist_made_by=None)


def write_config(folder: Path, **changes: Any) -> None:
    """Write ``config.json`` of a model folder: what it said before, what changes, and a revision by the digest of its files."""
    path = folder / "config.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else _NEW
    state = hashlib.blake2b(digest_size=8)
    for name in sorted(other.name for other in folder.iterdir() if other.suffix in (".onnx", ".npz", ".txt")):
        state.update(_content(folder / name))
    config = {**before, **changes, "revision": state.hexdigest()}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _content(path: Path) -> bytes:
    """Return what a file holds; of arrays without the times that numpy writes into their archive."""
    if path.suffix != ".npz":
        return path.read_bytes()
    with np.load(path) as arrays:
        return b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays.files))


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


if __name__ == "__main__":
    run_on_folders(export_run, __doc__, [("run", "folder of the run"), ("folder", "where the files go")], pack=True)
