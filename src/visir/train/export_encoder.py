"""Give unise-mini the text encoder that a run of stages 1 and 2 trained: ``python -m visir.train.export_encoder --help``.

    python -m visir.train.export_encoder runs/pairs src/visir/unise/weights/unise-mini

Written is the folder ``encoder``, see `visir.unise.export`; and in ``config.json`` how the new cosines are read, and what made them. Before
anything is written, the 8-bit encoder and the trained one in 32 bits embed the same pairs, and must agree.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from visir.errors import ModelError
from visir.train.command import run_on_folders
from visir.train.export_gate import gate_items, hushed
from visir.train.export_mini import write_config
from visir.train.sources import open_source
from visir.unise.export import MAX_TOKENS, export_text_encoder
from visir.unise.export_clip import Gate, compare
from visir.unise.mini_student import ReadingEncoder
from visir.unise.onnx import ENCODER, open_text_embedder
from visir.unise.sentence import SentenceEmbedder

# Pairs of each kind and split that the gate asks: enough that single ones do not decide.
_ASKED = 1000
# As many tokens as BERT has places for, and so many pieces of a page that says more: some 1,500 words, more than a printed page holds.
_TOKENS, _PIECES = 512, 4


def export_encoder(run: Path, folder: Path) -> Gate:
    """Write the text encoder of a run into a model folder.

    Returns:
        how near the exported encoder is to the trained one.

    Raises:
        ModelError: the run is missing or damaged, not finished, or of another model; or what was exported strays too far.
    """
    made = run / "model" / "visir.json"
    if not made.is_file():
        raise ModelError(f"{run}: holds no finished model; `visir train` goes on with it")
    facts = json.loads(made.read_text(encoding="utf-8"))
    recipe = facts["made"]["recipe"]
    if not recipe["model"].get("encoder"):
        raise ModelError(f"{run}: trained no text encoder; its recipe needs model.encoder")
    if facts["made"].get("fusion", {}).get("kept") == "learned":
        raise ModelError(f"{run}: joins pictures and texts by a learned fusion, which unise-mini has no place for; train with fusion = sum")
    # Of a folder, its name: where it lay is nobody's business.
    name = recipe["model"]["encoder"] = Path(recipe["model"]["encoder"]).name
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{ENCODER}-") as scratch:
        # A folder in it: the scratch folder itself is for its owner's eyes alone, and so would be the encoder.
        encoder = Path(scratch) / ENCODER
        with hushed():
            export_text_encoder(run / "model" / ENCODER, encoder, name)
        gate = _compare(run, recipe["data"], encoder)
        if not gate.passed:
            raise ModelError(f"{run}: its encoder was not exported, for in 8 bits it strays too far from the trained one: {gate}")
        _see_whole_pages(encoder)
        shutil.rmtree(folder / ENCODER, ignore_errors=True)
        encoder.rename(folder / ENCODER)
    # What gists add to a page's vector was learnt beside the encoder that was here before.
    (folder / "gist.npz").unlink(missing_ok=True)
    write_config(folder, calibration=facts["calibration"], text_made_by=facts["made"], gist="", gist_made_by=None)
    return gate


def _compare(run: Path, data: dict[str, Any], exported: Path) -> Gate:
    """Ask both encoders for the run's pages by texts, each page being what is read on it."""
    trained = SentenceEmbedder.load(str(run / "model"), "cpu", "float32")
    reader: ReadingEncoder = trained.model[0]  # type: ignore[assignment]
    reader.remember(run / "readings.sqlite")
    left = data.get("leave_out", ())
    sets = [pairs for source in data["sources"] for split in ("held", "train") for pairs in open_source(source, split, left)]
    items, pages = gate_items([pairs for pairs in sets if pairs.kind != "sq2s"], _ASKED)
    return compare(trained, open_text_embedder(exported), items, [reader.read(page.image) for page in pages])


def _see_whole_pages(encoder: Path) -> None:
    """Let an encoder that was trained, and compared, on the openings of pages embed all that they say: that finds more (docs/log.md)."""
    path = encoder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    weights = config["revision"].removesuffix(f"-{MAX_TOKENS}")
    config |= {"max_tokens": _TOKENS, "pieces": _PIECES, "revision": f"{weights}-{_TOKENS}x{_PIECES}"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    folders = [("run", "folder of the run"), ("folder", "folder of unise-mini")]
    run_on_folders(lambda run, folder: print(export_encoder(run, folder)), __doc__, folders)
