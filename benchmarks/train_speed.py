"""How fast UniSE trains and embeds, against the plain sentence-transformers trainer and a plain loop over transformers.

Full:  python benchmarks/train_speed.py          one GPU with 80 GB, no network; under ten minutes
Tiny:  python benchmarks/train_speed.py --tiny   a processor, random models of two layers, a minute or two

Models have the shapes of the paper's two, Qwen2-VL-2B and CLIP-L/14, and random weights. Both sides get the same model, pages, captions,
loss, batches, precision and worker processes. The trainer of sentence-transformers needs the package ``datasets``; without, its rows
say so. A measurement that does not fit, or for which no time is left, is a row that says so.

Work is what forward and backward passes must do, from torch's own count of a forward pass: three times it where all weights are trained,
twice where adapters are. What caching and checkpointing compute again takes time and does not count.
"""

import argparse
import gc
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from common import machine, table
from PIL import Image, ImageDraw, ImageFont
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel, AutoProcessor, CLIPConfig
from transformers.initialization import no_init_weights
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

import visir
from visir import Screenshot, load_embedder
from visir.train.pair_recipe import ModelChoice, PairData, PairRecipe, PairStage, Watching
from visir.train.pairs import Pair, PairSet
from visir.train.stages import PairRun
from visir.train.students import add_adapters, open_student, save_activations
from visir.unise.tiny import tiny_clip, tiny_mllm

_PEAKS = {"H100": 989.4, "H200": 989.4, "A100": 312.0}
"""Dense bf16 TFLOP/s by the data sheets."""
_CLIP_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_CLIP_VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
_QWEN_TEXT = {
    "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
    "max_position_embeddings": 32768, "vocab_size": 151936,
    "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
}  # fmt: skip
_QWEN_VISION = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "mlp_ratio": 4, "hidden_size": 1536, "patch_size": 14}


@dataclass(frozen=True)
class Case:
    """One way of training: what is trained, and with which batches; settings as in a recipe."""

    name: str
    kind: str
    batch: int
    mini_batch: int
    lora: int = 0
    checkpointing: bool = False
    pixels: int = 0
    compile: bool = False


FULL = (
    Case("UniSE-CLIP, L/14", "clip", 128, 128),
    Case("UniSE-CLIP, L/14, compiled", "clip", 128, 128, compile=True),
    Case("UniSE-CLIP, L/14, cached", "clip", 1024, 128),
    Case("UniSE-MLLM, 2B, adapters", "qwen2_vl", 32, 32, lora=32, checkpointing=True, pixels=1280 * 28 * 28),
    Case("UniSE-MLLM, 2B, all weights", "qwen2_vl", 16, 16, checkpointing=True, pixels=1280 * 28 * 28),
)
TINY = (
    Case("tiny CLIP", "clip", 8, 8),
    Case("tiny CLIP, cached", "clip", 16, 8),
    Case("tiny Qwen2-VL, adapters", "qwen2_vl", 4, 4, lora=2, checkpointing=True, pixels=16 * 28 * 28),
    Case("tiny Qwen2-VL, all weights", "qwen2_vl", 4, 4, checkpointing=True, pixels=16 * 28 * 28),
)


@dataclass(frozen=True)
class Clock:
    """When a measurement ends.

    Args:
        warm: steps or batches that do not count.
        seconds: of measuring, at most.
        most: steps or batches, at most.
    """

    warm: int
    seconds: float
    most: int


def write_checkpoint(kind: str, folder: Path, tiny: bool, device: str) -> str:
    """Write a checkpoint with random weights and a tokenizer of letters; returns its folder."""
    if kind == "clip":
        tiny_clip(folder, image=32 if tiny else 224, patch=8 if tiny else 14)
    else:
        tiny_mllm(folder, kind)
    if tiny:
        return str(folder)
    small = AutoConfig.from_pretrained(folder)
    if kind == "clip":
        ends = {name: getattr(small.text_config, name) for name in ("bos_token_id", "eos_token_id")}
        text, vision = {**_CLIP_TEXT, **ends, "vocab_size": 49408}, {**_CLIP_VISION, "image_size": 224, "patch_size": 14}
        config: Any = CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    else:
        names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
        tokens = {name: getattr(small, name) for name in names}
        config = AutoConfig.for_model(kind, text_config=_QWEN_TEXT, vision_config=_QWEN_VISION, tie_word_embeddings=True, **tokens)
    maker = transformers.CLIPModel if kind == "clip" else transformers.AutoModelForImageTextToText
    with no_init_weights():  # the library's own way of drawing weights takes minutes on a processor
        model = maker._from_config(config, dtype=torch.bfloat16) if kind == "clip" else maker.from_config(config, dtype=torch.bfloat16)
    model.to(device)
    for name, value in model.named_parameters():
        if value.dim() > 1:
            nn.init.normal_(value, std=0.02)
        else:
            nn.init.constant_(value, float(name.endswith("weight")))
    model.save_pretrained(folder)
    return str(folder)


def draw_pages(count: int, size: tuple[int, int]) -> list[bytes]:
    """Draw pages of text, as JPEG."""
    font = ImageFont.truetype(str(next((Path(visir.__file__).parent / "capture" / "fonts").glob("*Mono.ttf"))), max(9, size[1] // 60))
    pages = []
    for number in range(count):
        rng = np.random.default_rng(number)
        page = Image.new("RGB", size, tuple(rng.integers(200, 256, 3).tolist()))
        paper = ImageDraw.Draw(page)
        for line in range(20, size[1] - 20, max(12, size[1] // 45)):
            paper.text((20, line), "".join(rng.choice(list("etaoin shrdlu "), 70)), fill="black", font=font)
        buffer = io.BytesIO()
        page.save(buffer, "JPEG", quality=85)
        pages.append(buffer.getvalue())
    return pages


def make_pairs(pages: list[bytes], count: int) -> PairSet:
    """Make so many pairs of a caption and a page; pages come again as if they were others."""
    images = {f"page-{number}": pages[number % len(pages)] for number in range(count)}
    pairs = [Pair(f"a caption of page number {number} of {count}", key) for number, key in enumerate(images)]
    return PairSet("pages", "caption", pairs, images)


def make_recipe(case: Case, base: str, workers: int, steps: int) -> PairRecipe:
    """Return the recipe of a case: stage 1, on captions."""
    precision = "bf16" if torch.cuda.is_available() else "fp32"
    names = ("pixels", "lora", "checkpointing", "compile")
    model = ModelChoice(base, precision=precision, **{name: getattr(case, name) for name in names})
    stage = PairStage(("caption",), steps, case.batch, 1e-6, both_ways=True, scale=20.0)
    return PairRecipe(model, PairData(("shapes",), workers=workers, mini_batch=case.mini_batch), (stage,), Watching(probe=""))


def steps_a_second(moments: list[float], warm: int) -> float:
    """Return the rate of steps that ended at these moments, the first ``warm`` left out."""
    counted = moments[warm - 1 :]
    if len(counted) < 2:
        raise RuntimeError("no step was done in time: give it more --seconds, or smaller batches")
    return (len(counted) - 1) / (counted[-1] - counted[0])


def train_ours(case: Case, base: str, pairs: PairSet, workers: int, clock: Clock, scratch: Path) -> tuple[float, float]:
    """Train by `visir train`'s own road; returns pairs a second, and the GFLOP of a pair."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = PairRun(make_recipe(case, base, workers, clock.warm + clock.most), scratch / "run", device)
    run.sets = [pairs]
    work = work_of_a_pair(run, case)
    moments: list[float] = []
    for _ in run.updates():  # the numbers that a step returns have waited for the device
        moments.append(time.perf_counter())
        if len(moments) > clock.warm and moments[-1] - moments[clock.warm - 1] > clock.seconds:
            break
    return case.batch * steps_a_second(moments, clock.warm), work


def work_of_a_pair(run: PairRun, case: Case) -> float:
    """Return the GFLOP that a pair's forward and backward passes must do."""
    few = 2
    batch = replace_batch(run, few)[0]
    towers = run.model[0].model
    attention = towers.config._attn_implementation
    towers.set_attn_implementation("eager")  # torch counts no fused attention whose keys are fewer than its queries
    try:
        # What is compiled is not counted either.
        with torch.compiler.set_stance("force_eager"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            for features in (batch.queries, batch.documents):
                run._embed(batch_to_device(features, run.device))
    finally:
        towers.set_attn_implementation(attention)
    return counter.get_total_flops() * (2 if case.lora else 3) / few / 1e9


def replace_batch(run: PairRun, size: int) -> Any:
    """Return a run's batches, of another size."""
    whole = run.recipe
    run.recipe = replace(whole, stage=(replace(whole.stage[0], batch=size),))
    batches = run.batches(0)
    run.recipe = whole
    return batches


def train_theirs(case: Case, base: str, pairs: PairSet, workers: int, clock: Clock, scratch: Path) -> float:
    """Train the same model by sentence-transformers' trainer; returns pairs a second."""
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.training_args import SentenceTransformerTrainingArguments
    from transformers import TrainerCallback

    cuda = torch.cuda.is_available()
    choice = make_recipe(case, base, workers, 1).model
    model = open_student(choice, scratch).to("cuda" if cuda else "cpu")
    if case.lora:
        add_adapters(model, choice)
    if case.checkpointing:
        save_activations(model)
    rows = {"anchor": [pair.text for pair in pairs.pairs], "positive": [{"bytes": pairs.images[pair.document]} for pair in pairs.pairs]}
    data = Dataset.from_dict(rows, features=Features({"anchor": Value("string"), "positive": ImageFeature()}))
    both = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction", "scale": 20.0}
    if case.batch > case.mini_batch:
        loss: Any = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=case.mini_batch, **both)
    else:
        loss = losses.MultipleNegativesRankingLoss(model, **both)
    moments: list[float] = []

    class Stopwatch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            wait()
            moments.append(time.perf_counter())
            begun = moments[clock.warm - 1] if len(moments) >= clock.warm else moments[-1]
            control.should_training_stop = moments[-1] - begun > clock.seconds

    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(scratch / "theirs"), per_device_train_batch_size=case.batch, max_steps=clock.warm + clock.most, learning_rate=1e-6,
        bf16=cuda, use_cpu=not cuda, dataloader_num_workers=workers, dataloader_drop_last=True, report_to=[], save_strategy="no",
        logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss, callbacks=[Stopwatch()]).train()
    return case.batch * steps_a_second(moments, clock.warm)


def embed_ours(case: Case, base: str, pages: list[bytes], clock: Clock) -> tuple[float, np.ndarray]:
    """Embed pages by `load_embedder`; returns pages a second, and the vectors of the first."""
    embedder = load_embedder(base, pixels=case.pixels or None)
    screenshots = [Screenshot(page) for page in pages]

    def embed(batch: list[Screenshot]) -> Tensor:
        return torch.from_numpy(embedder.encode_document(batch))

    first = embed(screenshots[:16]).numpy()
    # A call of 128 pages is what an index asks for at once.
    return pages_a_second(embed, screenshots, 128, clock), first


def embed_plainly(case: Case, base: str, pages: list[bytes], clock: Clock) -> tuple[float, np.ndarray]:
    """Embed pages as transformers' own pages say; returns pages a second, and the vectors of the first."""
    cuda = torch.cuda.is_available()
    device, dtype = ("cuda", torch.bfloat16) if cuda else ("cpu", torch.float32)
    model = AutoModel.from_pretrained(base, dtype=dtype).to(device).eval()
    processor = AutoProcessor.from_pretrained(base)
    if case.kind == "clip":  # whole pages, as visir sees them
        side = model.config.vision_config.image_size
        processor.image_processor.size, processor.image_processor.do_center_crop = {"height": side, "width": side}, False
    else:
        least = min(processor.image_processor.size["shortest_edge"], case.pixels)
        processor.image_processor.size = {"shortest_edge": least, "longest_edge": case.pixels}
    words = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n<|endoftext|>"

    @torch.inference_mode()
    def embed(batch: list[bytes]) -> Tensor:
        images = [Image.open(io.BytesIO(page)).convert("RGB") for page in batch]
        texts = {} if case.kind == "clip" else {"text": [words] * len(batch), "padding": True}
        features = processor(images=images, return_tensors="pt", **texts).to(device)
        features["pixel_values"] = features["pixel_values"].to(dtype)
        if case.kind == "clip":
            said = model.get_image_features(**features)
            vectors = said if isinstance(said, Tensor) else said.pooler_output
        else:
            last = features["attention_mask"].sum(1) - 1
            vectors = model(**features).last_hidden_state[torch.arange(len(batch)), last]
        return nn.functional.normalize(vectors.float(), dim=1).cpu()

    first = embed(pages[:16]).numpy()
    return pages_a_second(embed, pages, 16, clock), first


def pages_a_second(embed: Callable[[list[Any]], Tensor], pages: list[Any], size: int, clock: Clock) -> float:
    """Embed batches until the time is up; the first call has been made already."""
    begun, done = time.perf_counter(), 0
    for batch in _batches(pages, size, clock.most):
        done += len(embed(batch))
        if time.perf_counter() - begun > clock.seconds:
            break
    return done / (time.perf_counter() - begun)


def _batches(pages: list[Any], size: int, most: int) -> Iterator[list[Any]]:
    for number in range(most):
        yield [pages[(number * size + place) % len(pages)] for place in range(size)]


def wait() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_rate() -> tuple[str, float]:
    """Return what a large product of bf16 matrices reached, in words, and the TFLOP/s that shares are taken of."""
    cuda = torch.cuda.is_available()
    device, side = ("cuda", 8192) if cuda else ("cpu", 1024)
    one, two = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        one @ two
    wait()
    begun = time.perf_counter()
    for _ in range(10):
        one @ two
    wait()
    measured = 10 * 2 * side**3 / (time.perf_counter() - begun) / 1e12
    name = torch.cuda.get_device_name() if cuda else "this processor"
    sheet = next((rate for part, rate in _PEAKS.items() if part in name), None)
    words = f"{name}: a product of bf16 matrices runs at {measured:.4g} TFLOP/s"
    return (f"{words}; the data sheet's {sheet} is the peak", sheet) if sheet else (f"{words}, which is taken as the peak", measured)


class Bench:
    """Makes the measurements one after another; one that fails is a row that says why."""

    def __init__(self, peak: float, until: float) -> None:
        self.peak, self.until = peak, until
        self.rows: list[dict[str, Any]] = []
        self.failed = False

    def measure(self, what: str, who: str, unit: str, action: Callable[[], Any], work: float = 0.0) -> Any:
        """Make one measurement and print it at once; returns what the action does, or ``None`` where it failed."""
        gc.collect()  # models lie in circles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        row: dict[str, Any] = {"what": what, "who": who, "unit": unit}
        try:
            if begun > self.until:
                raise TimeoutError("no time was left")
            said = action()
        except Exception as error:  # one that does not fit must not cost the others
            self.failed = self.failed or not isinstance(error, ImportError)
            said, row["failed"] = None, " ".join(f"{type(error).__name__}: {error}".split())[:200]
        else:
            rate, other = said if isinstance(said, tuple) else (said, work)
            row["rate"] = round(float(rate), 3)
            work = other if isinstance(other, float) else work
            if work:
                row |= {"gflop": round(work, 2), "share": round(row["rate"] * work / 1e3 / self.peak, 4)}
        if torch.cuda.is_available():
            row["gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        row["took"] = round(time.perf_counter() - begun, 1)
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        return said

    def show(self) -> str:
        """Return all measurements as a table; the second of two rows is what the first is held against."""
        lines = []
        for row in self.rows:
            peer = next((other for other in self.rows if other["what"] == row["what"] and other is not row), {})
            times = f"{row['rate'] / peer['rate']:.2f}" if row["who"] == "visir" and "rate" in row and "rate" in peer else ""
            rate = f"{row['rate']:.4g} {row['unit']}" if "rate" in row else row["failed"]
            share = f"{row['share']:.1%}" if "share" in row else ""
            lines.append([row["what"], row["who"], rate, times, share, row.get("gb", "")])
        return table(["", "by", "rate", "times the peer", "share of peak", "peak GB"], lines)


def compare_embedding(bench: Bench, case: Case, base: str, pages: list[bytes], clock: Clock) -> None:
    """Embed pages both ways, and say on stderr how alike the vectors are."""
    ways = (("visir", embed_ours), ("transformers", embed_plainly))
    ours, plain = (bench.measure(f"embed, {case.kind}", who, "pages/s", partial(way, case, base, pages, clock)) for who, way in ways)
    if ours and plain:
        print(f"{case.kind}: least cosine of both {(ours[1] * plain[1]).sum(1).min():.4f}", file=sys.stderr)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="random models of two layers")
    parser.add_argument("--only", default="", help="only cases whose names hold this")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each measurement, at most")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin no measurement after so long")
    parser.add_argument("--workers", type=int, default=None, help="processes that read and resize pages (default: 12; tiny: 0)")
    parser.add_argument("-o", "--output", type=Path, default=None, help="write the numbers there as JSON")
    options = parser.parse_args()
    disable_progress_bar()
    set_verbosity_error()
    tiny, workers = options.tiny, options.workers if options.workers is not None else (0 if options.tiny else 12)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    until = time.perf_counter() + 60 * options.minutes
    words, peak = peak_rate()
    bench, clock = Bench(peak, until), Clock(2, options.seconds, 3 if tiny else 60)
    pages = draw_pages(32 if tiny else 512, (120, 160) if tiny else (768, 1024))
    pairs = make_pairs(pages, 32 if tiny else 2048)
    cases = [case for case in (TINY if tiny else FULL) if options.only in case.name]
    with tempfile.TemporaryDirectory() as folder:
        bases = {kind: write_checkpoint(kind, Path(folder, kind), tiny, device) for kind in dict.fromkeys(case.kind for case in cases)}
        embedded = set()
        for number, case in enumerate(cases):
            common = (case, bases[case.kind], pairs, workers, clock)
            if case.kind not in embedded:
                embedded.add(case.kind)
                compare_embedding(bench, case, bases[case.kind], pages, clock)
            ours = bench.measure(f"train, {case.name}", "visir", "pairs/s", partial(train_ours, *common, Path(folder, f"{number}")))
            work = ours[1] if ours else 0.0
            if case.compile:
                continue  # held against the trainer without
            theirs = partial(train_theirs, *common, Path(folder, f"{number}-theirs"))
            bench.measure(f"train, {case.name}", "sentence-transformers", "pairs/s", theirs, work)
    print(f"{words}\n\n{bench.show()}\n\n{machine(('torch', 'transformers', 'sentence-transformers', 'peft', 'numpy'))}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"peak_tflops": peak, "rows": bench.rows}, indent=1) + "\n")
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main())
