"""How well a tower reads: the fixed examination of the reading stage, on words, fonts and documents that training never showed.

    python -m visir.train.reading_eval runs/mini --pdf FOLDER_OF_PDFS

* ``words_right``: words in `is_held_word`, in held-out fonts, named among ``candidates`` such words by their letters' vectors alone;
  ``words_found``: share of these words whose place is found (half of the union shared).
* ``page_first``, ``letters_first``: how often a passage finds its page first among rendered pages of held-out text, by page vectors and by
  the words read; the same with ``pdf_`` among pages of real documents, the query being a sentence of the page.
"""

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from visir.errors import VisirError
from visir.train.checkpoint import load_split
from visir.train.reading import ReadingModel
from visir.train.recipe import Recipe
from visir.train.teacher import TextTeacher, TextTokens, find_teacher
from visir.unise.mini import MiniConfig, pool_boxes, to_input
from visir.unise.words import find_words, fit_size, fold_word, pool_words
from visir.vira.practice import Pack, PageSpec, is_held_word, render_page

_SENTENCE = re.compile(r"[A-Z][^.!?]{30,160}[.!?]")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ExamPage:
    """A page to be found: its picture, uint8 (h, w, 3), and a text that stands on it."""

    image: NDArray[np.uint8]
    query: str


def load_model(folder: Path) -> ReadingModel:
    """Load the weights of a run for evaluation."""
    tensors, meta = load_split(folder, "weights")
    model = ReadingModel(Recipe(model=MiniConfig.from_dict(meta["model"])))
    model.load_state_dict({key[6:]: value for key, value in tensors.items()}, strict=False)
    return model.eval()


def held_words(pack: Pack, count: int) -> list[str]:
    """Return the candidates of the naming test: held-out words of all word lists, folded, the same ones every time."""
    words = sorted({fold_word(word) for listed in pack.words.values() for word in listed if is_held_word(fold_word(word))})
    return sorted(random.Random(0).sample(words, min(count, len(words))))


@torch.no_grad()
def name_words(model: ReadingModel, pack: Pack, pages: int, candidates: int, device: torch.device) -> dict[str, float]:
    """Name the words of pages that hold nothing but held-out words; returns the shares right and found, and how many words were asked."""
    names = held_words(pack, candidates)
    number = {name: index for index, name in enumerate(names)}
    vectors = model.encoder(names)
    right = found = asked = places = 0
    for index in range(pages):
        page = render_page(pack, PageSpec(512, 512, 1.0, held_only=True, spoil=0.5, layout="article" if index % 2 else ""), 99, index)
        known = [i for i, word in enumerate(page.words) if fold_word(word) in number]
        if not known:
            continue
        with torch.autocast(device.type, torch.bfloat16):
            out = model.tower(to_input(torch.from_numpy(page.image.copy())[None].to(device)))
        boxes = torch.from_numpy(page.boxes[known]).to(device)
        pooled = F.normalize(pool_boxes(out.words, boxes, torch.zeros(len(known), dtype=torch.long, device=device)), dim=1)
        best = (pooled @ vectors.T).argmax(1).tolist()
        right += sum(number[fold_word(page.words[i])] == guess for i, guess in zip(known, best, strict=True))
        asked += len(known)
        seen, _ = find_words(out.spots[0].float().cpu().numpy())
        found += int((_overlaps(page.boxes, seen).max(1, initial=0.0) > 0.5).sum())
        places += len(page.boxes)
    return {"words_right": right / max(1, asked), "words_found": found / max(1, places), "words_asked": asked, "candidates": len(names)}


def _overlaps(one: Floats, two: Floats) -> Floats:
    low, high = np.maximum(one[:, None, :2], two[None, :, :2]), np.minimum(one[:, None, 2:], two[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = (one[:, 2:] - one[:, :2]).prod(1)[:, None] + (two[:, 2:] - two[:, :2]).prod(1)[None, :]
    return np.asarray(shared / np.maximum(areas - shared, 1e-12))


def rendered_pages(pack: Pack, count: int, height: int = 640, width: int = 480) -> Iterator[ExamPage]:
    """Yield rendered pages of held-out text with 8 to 16 words of one block as the query."""
    number = made = 0
    while made < count:
        page = render_page(pack, PageSpec(height, width, 1.0, spoil=0.5), 98, number)
        rng = np.random.default_rng([98, 1, number])
        number += 1
        long = [text.split() for text in page.blocks if text.count(" ") >= 9]
        if not long:
            continue
        words = long[int(rng.integers(len(long)))]
        start = int(rng.integers(max(1, len(words) - 16)))
        made += 1
        yield ExamPage(page.image, " ".join(words[start : start + 16]))


def pdf_pages(files: Iterable[Path], count: int, pixels: int) -> Iterator[ExamPage]:
    """Yield pages of PDF files that hold a sentence, spread over the files, with the sentence as the query."""
    import pypdfium2

    places: list[tuple[Path, int]] = []
    for path in files:
        with pypdfium2.PdfDocument(path) as document:
            places.extend((path, page) for page in range(len(document)))
    random.Random(0).shuffle(places)
    made = 0
    for path, number in places:
        with pypdfium2.PdfDocument(path) as document:
            page = document[number]
            text = " ".join(page.get_textpage().get_text_bounded().split())
            sentences = _SENTENCE.findall(text)
            if not sentences or len(text) < 300:
                continue
            wide, high = fit_size(round(page.get_width()), round(page.get_height()), pixels)
            picture = (
                page.render(scale=1.02 * max(wide / page.get_width(), high / page.get_height()))
                .to_pil()
                .convert("RGB")
                .resize((wide, high))
            )
        yield ExamPage(np.asarray(picture), random.Random(number).choice(sentences))
        made += 1
        if made == count:
            return


@torch.no_grad()
def find_pages(
    model: ReadingModel, teacher: TextTeacher, tokens: TextTokens, pages: list[ExamPage], device: torch.device
) -> dict[str, float]:
    """Ask for each page by its query; returns the shares found first by page vectors, by the words read, and by both."""
    queries = [[word for word in dict.fromkeys(map(fold_word, page.query.split())) if len(word) > 2] for page in pages]
    names = sorted({word for words in queries for word in words})
    place = {name: index for index, name in enumerate(names)}
    table = model.encoder(names).cpu().numpy()
    nearest = np.zeros((len(names), len(pages)), np.float32)
    vectors: list[Tensor] = []
    seconds = time.process_time()
    for index, page in enumerate(pages):
        with torch.autocast(device.type, torch.bfloat16):
            out = model.tower(to_input(torch.from_numpy(page.image.copy())[None].to(device)))
        vectors.append(out.page.float().cpu()[0])
        boxes, _ = find_words(out.spots[0].float().cpu().numpy())
        read = pool_words(out.words[0].float().cpu().numpy(), boxes)
        if len(read):
            nearest[:, index] = (table @ read.T).max(1)
    seconds = time.process_time() - seconds
    ids, mask = tokens([page.query for page in pages], 64)
    asked = torch.cat([teacher(ids[at : at + 64].to(device), mask[at : at + 64].to(device)).cpu() for at in range(0, len(ids), 64)])
    by_page = (asked @ torch.stack(vectors).T).numpy()
    nearest -= nearest.mean(1, keepdims=True)
    by_letters = np.stack([nearest[[place[word] for word in words]].mean(0) if words else np.zeros(len(pages)) for words in queries])
    answer = np.arange(len(pages))
    both = by_page / by_page.std() + by_letters / max(1e-6, by_letters.std())
    return {
        "page_first": float((by_page.argmax(1) == answer).mean()),
        "letters_first": float((by_letters.argmax(1) == answer).mean()),
        "both_first": float((both.argmax(1) == answer).mean()),
        "pages": len(pages),
        "seconds_a_page": round(seconds / max(1, len(pages)), 3),
    }


def examine(folder: Path, pack_path: Path, pdfs: list[Path], device: str, pages: int = 500, words_pages: int = 40) -> dict[str, Any]:
    """Run the whole examination on a run's weights."""
    on = torch.device(device)
    model = load_model(folder).to(on)
    teacher_path = find_teacher()
    teacher, tokens = TextTeacher(teacher_path).to(on), TextTokens(teacher_path)
    pack = Pack.open(pack_path, "held")
    result: dict[str, Any] = {"step": load_split(folder, "weights")[1]["step"]}
    result |= name_words(model, pack, words_pages, 10_000, on)
    result |= find_pages(model, teacher, tokens, list(rendered_pages(pack, pages)), on)
    if pdfs:
        real = find_pages(model, teacher, tokens, list(pdf_pages(pdfs, pages, model.recipe.model.pixels)), on)
        result |= {f"pdf_{key}": value for key, value in real.items()}
    return result


def main() -> None:
    """Examine a run from the command line; prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("--pack", type=Path, default=Path("data/practice.zip"), help="the practice pack")
    parser.add_argument("--pdf", type=Path, help="folder of PDF files that gave no training text")
    parser.add_argument("--pages", type=int, default=500, help="pages in each search")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    options = parser.parse_args()
    pdfs = sorted(options.pdf.rglob("*.pdf")) if options.pdf else []
    try:
        result = examine(options.folder, options.pack, pdfs, options.device, options.pages)
    except VisirError as error:
        sys.exit(str(error))
    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}))


if __name__ == "__main__":
    main()
