"""What a model costs on this machine: seconds a query and a page, and memory; each in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from visir.errors import ModelError
from visir.mvrb.baselines import parted
from visir.mvrb.experiments.setting import Cell, Finding, Setting
from visir.screenshot import Screenshot, clean_text
from visir.unise.embedder import device_for, load_embedder
from visir.unise.regions import RegionEmbedder

SHAPES = ("clip-b32", "clip-l14", "qwen2-vl-2b")
"""Names of shapes; CLIP-L/14 is UniSE-CLIP's, Qwen2-VL-2B is UniSE-MLLM's."""

_SHAPE = "shape:"
_DEFAULT = ("text", *(_SHAPE + name for name in SHAPES))
_ROUNDS = 5
_LONGEST = 120.0
_QUESTION = "how much water was lost through leaks in the year 2019, and why"


def cost(setting: Setting) -> Finding:
    """Measure what models cost on this machine: CLIP-size and MLLM-size ones unless others are named.

    ``shape:clip-b32``, ``shape:clip-l14`` (UniSE-CLIP's) and ``shape:qwen2-vl-2b`` (UniSE-MLLM's) are models of the true shape with
    random weights; what they cost does not depend on the values. Drawing a page smaller and cutting it into patches is not counted
    for shapes; it is for other models. Models of texts get the words of the page; what OCR costs comes on top.
    """
    models = setting.models or _DEFAULT
    for name in models:
        if name.startswith(_SHAPE) and name.removeprefix(_SHAPE) not in SHAPES:
            raise ModelError(f"there is no shape {name.removeprefix(_SHAPE)!r}: choose one of {', '.join(SHAPES)}")
    rows: list[list[Cell]] = []
    for name in models:
        setting.tell(f"{name}: measuring in a process of its own")
        command = [sys.executable, "-m", "visir.mvrb.experiments.cost", name, setting.device]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelError((done.stderr.strip().splitlines() or [f"{name}: stopped by signal {-done.returncode}"])[-1])
        facts = json.loads(done.stdout.splitlines()[-1])
        for page, seconds in facts["pages"].items():
            rows.append([name, facts["parameters"], facts["precision"], facts["query"], page, seconds, facts["memory"]])
    threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count())
    text = (
        f"One input at a time, median of {_ROUNDS} (fewer where one takes long), {threads} threads of {_processor()}; memory is the most "
        "that the process held. Models called shape: have random weights of the true shape. Models of texts get the page's words: OCR is "
        "not counted."
    )
    columns = ["model", "parameters, M", "precision", "query, ms", "page", "page, s", "memory, MB"]
    return Finding("cost", text, columns, rows)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "this machine")


def _median_seconds(action: Callable[[], object]) -> float:
    """Return the median time of an action once it is warm; fewer rounds where they take long."""
    started = time.perf_counter()
    action()
    seconds: list[float] = []
    while len(seconds) < _ROUNDS and (not seconds or time.perf_counter() - started < _LONGEST):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[len(seconds) // 2]


def _shape_facts(name: str, device: str) -> dict[str, Any]:
    import torch

    from visir.mvrb.experiments.shapes import make_shape

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = torch.bfloat16 if name.startswith("qwen") or device.startswith("cuda") else torch.float32
    shape = make_shape(name, device, precision)
    on_gpu = device.startswith("cuda")

    def timed(action: Callable[[], object]) -> float:
        def run() -> None:
            with torch.inference_mode():
                action()
            if on_gpu:
                torch.cuda.synchronize()

        return _median_seconds(run)

    return {
        "parameters": round(sum(weights.numel() for weights in shape.model.parameters()) / 1e6, 1),
        "precision": str(precision).removeprefix("torch."),
        "query": round(1000 * timed(shape.text), 1),
        "pages": {f"{tokens} patches or tokens": round(timed(lambda tokens=tokens: shape.page(tokens)), 3) for tokens in shape.pages},  # type: ignore[misc]
    }


def _model_facts(name: str, device: str) -> dict[str, Any]:
    plain, part = parted(name)
    embedder = load_embedder(plain, device_for(plain, device))
    text = clean_text(f"{_QUESTION}. " * 40)
    # Each page once: a model may remember what it saw last.
    pages = iter([Screenshot.from_image(_page(f"{number} {text}"), text=text) for number in range(_ROUNDS + 1)])
    model = getattr(embedder, "model", None)

    def page() -> None:
        one = next(pages)
        embedder.encode_document([one])
        if isinstance(embedder, RegionEmbedder) and part != ":vector":
            embedder.encode_regions([one])

    return {
        "parameters": round(sum(weights.numel() for weights in model.parameters()) / 1e6, 3) if model is not None else "",
        "precision": str(next(model.parameters()).dtype).removeprefix("torch.") if model is not None else "",
        "query": round(1000 * _median_seconds(lambda: embedder.encode_query([_QUESTION])), 1),
        "pages": {"905 x 1280": round(_median_seconds(page), 3)},
    }


def _page(text: str) -> Image.Image:
    page = Image.new("RGB", (905, 1280), "white")
    draw, words = ImageDraw.Draw(page), text.split()
    for line in range(40):
        draw.text((60, 60 + 28 * line), " ".join(words[9 * line : 9 * line + 9]), "black", font=ImageFont.load_default(18))
    return page


def _main(name: str, device: str) -> None:
    from visir.mvrb.evaluate import peak_memory

    facts = _shape_facts(name.removeprefix(_SHAPE), device) if name.startswith(_SHAPE) else _model_facts(name, device)
    print(json.dumps({**facts, "memory": round(peak_memory() / 1e6)}))


if __name__ == "__main__":
    try:
        _main(sys.argv[1], sys.argv[2])
    except ModelError as error:
        sys.exit(str(error))
