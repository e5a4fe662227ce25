"""Which models have a vector for every token, told from their settings, without torch."""

import json
from pathlib import Path
from typing import Any

from visir.unise.embedder import is_hub_name
from visir.unise.hub import reach_hub


def is_late_interaction(name: str) -> bool:
    """Say whether a folder, or a model of a hub, has a vector for every token; ``False`` where neither can be read."""
    architectures = _settings(name, "config.json").get("architectures") or []
    if any(str(architecture).endswith("ForRetrieval") for architecture in architectures):
        return True
    return bool(_settings(name, "config_sentence_transformers.json").get("model_type") == "MultiVectorEncoder")


def _model_file(name: str, file: str) -> Path | None:
    """Return a file of a model folder, or of a model on a hub; ``None`` where it cannot be had."""
    if Path(name).is_dir():
        return Path(name, file)
    if not is_hub_name(name):
        return None
    try:
        from huggingface_hub import hf_hub_download

        reach_hub()
        return Path(hf_hub_download(name, file))
    except Exception:  # not there, not reachable: whoever loads the model says so
        return None


def _settings(name: str, file: str) -> dict[str, Any]:
    path = _model_file(name, file)
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
