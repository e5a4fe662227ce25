"""Batches of practice pages, rendered as they are needed: batch ``i`` of a recipe is the same in any process, at any restart."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visir.train.recipe import Data, Recipe
from visir.train.teacher import TextTokens
from visir.unise.letters import classes_of
from visir.unise.words import Floats, bag_rows, fold_word
from visir.vira.practice import Pack, PageSpec, PracticePage, is_held_word, render_page

Batch = dict[str, Tensor]
"""images (n, h, w, 3) uint8; spot_boxes (s, 4), spot_owner (s,): all words; word_boxes (m, 4), word_owner, word_which (m,): the words
learnt, as numbers into the different words, whose table rows are bag_rows, bag_starts; behind these follow words that stand nowhere;
letters, letter_owner (k,), letter_at (k, 2); spell_boxes (p, 4), spell_owner, spell_sizes (p,): words that are spelt, spell_letters: their
classes (`unise.letters`), one word after another; block_boxes (b, 4), block_owner (b,), block_ids, block_mask (b, t); page_ids, page_mask,
query_ids, query_mask (n, t)."""

_FAMILIES = ("aceo", "nhmru", "itlfj", "bdkp", "gqy", "vwx", "sz", "0689", "1745", "23")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ALIKE = {letter: family.replace(letter, "") for family in _FAMILIES for letter in family}
_WIDEST = 224  # pixels of a word that is spelt: wider ones would lengthen the whole batch
_BLOCK_TOKENS, _PAGE_TOKENS, _QUERY_TOKENS = 48, 160, 32


class ReadingBatches(Dataset[Batch]):
    """The batches of a recipe by number."""

    def __init__(self, recipe: Recipe, teacher: Path) -> None:
        self._recipe = recipe
        # Opened here, not in the workers: forked processes share what they only read.
        self._pack, self._tokens = Pack.open(recipe.data.pack), TextTokens(teacher)
        words = {fold_word(word) for listed in self._pack.words.values() for word in listed}
        self._lexicon = sorted(word for word in words if word and not is_held_word(word))

    def __len__(self) -> int:
        return -(-self._recipe.optim.steps // self._recipe.data.echo)

    def __getitem__(self, index: int) -> Batch:
        data, stage = self._recipe.data, self._recipe.at(index * self._recipe.data.echo)
        spec = PageSpec(stage.height, stage.width, stage.level, spoil=data.spoil)
        pages = [render_page(self._pack, spec, data.seed, index * 4096 + number) for number in range(stage.batch)]
        return make_batch(pages, self._tokens, self._recipe, np.random.default_rng([data.seed, 1 << 20, index]), self._lexicon)


def make_batch(
    pages: list[PracticePage], tokens: TextTokens, recipe: Recipe, rng: np.random.Generator, lexicon: Sequence[str] = ()
) -> Batch:
    """Join pages into a batch, with no more words, letters and blocks of each than the recipe says; ``lexicon`` gives strangers."""
    data = recipe.data
    batch: Batch = {"images": torch.from_numpy(np.stack([page.image for page in pages]))}
    batch |= _join("spot_boxes", "spot_owner", [page.boxes for page in pages], 4)
    words: list[str] = []
    boxes, letters, letter_at, block_boxes, spell_boxes = [], [], [], [], []
    spelt: list[list[int]] = []
    texts: list[str] = []
    queries: list[str] = []
    for page in pages:
        chosen = [i for i in _some(len(page.words), data.words, rng) if fold_word(page.words[i])]
        words.extend(fold_word(page.words[i]) for i in chosen)
        boxes.append(_shake(page.boxes[chosen], data.jitter, rng))
        known, where = _spelt(page, data, rng)
        spelt.extend(known)
        spell_boxes.append(where)
        some = _some(len(page.letters), data.letters, rng)
        letters.append(page.letters[some])
        letter_at.append(page.letter_at[some])
        long = [i for i, text in enumerate(page.blocks) if text.count(" ") >= 2]
        chosen = [long[i] for i in _some(len(long), data.blocks, rng)]
        block_boxes.append(page.block_boxes[chosen])
        texts.extend(page.blocks[i] for i in chosen)
        queries.append(_run(page.words, rng))
    names = sorted(set(words))
    number = {name: index for index, name in enumerate(names)}
    strangers = _strangers(names, lexicon, data, rng)
    rows, starts = bag_rows([*names, *strangers], recipe.model.buckets)
    batch |= _join("word_boxes", "word_owner", boxes, 4) | _join("letter_at", "letter_owner", letter_at, 2)
    batch |= _join("block_boxes", "block_owner", block_boxes, 4) | _join("spell_boxes", "spell_owner", spell_boxes, 4)
    batch["spell_letters"] = torch.tensor([letter for word in spelt for letter in word], dtype=torch.long)
    batch["spell_sizes"] = torch.tensor([len(word) for word in spelt], dtype=torch.long)
    batch["word_which"] = torch.tensor([number[word] for word in words], dtype=torch.long)
    batch["bag_rows"], batch["bag_starts"] = torch.from_numpy(rows), torch.from_numpy(starts)
    batch["letters"] = torch.from_numpy(np.concatenate(letters).astype(np.int64))
    batch["block_ids"], batch["block_mask"] = tokens(texts, _BLOCK_TOKENS)
    batch["page_ids"], batch["page_mask"] = tokens([" ".join(page.words[:_PAGE_TOKENS]) for page in pages], _PAGE_TOKENS)
    batch["query_ids"], batch["query_mask"] = tokens(queries, _QUERY_TOKENS)
    return batch


def _join(name: str, owner: str, parts: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]], width: int) -> Batch:
    joined = np.concatenate([part.reshape(-1, width) for part in parts]).astype(np.float32)
    return {name: torch.from_numpy(joined), owner: torch.from_numpy(np.repeat(np.arange(len(parts)), [len(part) for part in parts]))}


def _some(count: int, most: int, rng: np.random.Generator) -> list[int]:
    return list(range(count)) if count <= most else sorted(rng.choice(count, most, replace=False).tolist())


def _shake(boxes: Floats, much: float, rng: np.random.Generator) -> Floats:
    """Move the edges of boxes (n, 4) by random shares of their widths and heights."""
    sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.asarray(np.clip(boxes + much * sizes * rng.normal(size=boxes.shape), 0, 1), np.float32)


def _spelt(page: PracticePage, data: Data, rng: np.random.Generator) -> tuple[list[list[int]], Floats]:
    """Choose words to spell: their letters' classes, and boxes (n, 4) that are not exact and a little wider, as found ones are made."""
    wide = (page.boxes[:, 2] - page.boxes[:, 0]) * page.image.shape[1]
    known = [(i, spelt) for i in np.flatnonzero(wide <= _WIDEST).tolist() if (spelt := classes_of(page.words[i]))]
    chosen = [known[i] for i in _some(len(known), data.spelt, rng)]
    boxes = page.boxes[[i for i, _ in chosen]].reshape(-1, 4)
    # Edges are moved by shares of the height, sideways too: that is the size of a letter.
    across = page.image.shape[0] / page.image.shape[1]
    high = (boxes[:, 3:] - boxes[:, 1:2]) * np.array([across, 1, across, 1], np.float32)
    moved = boxes + high * (np.array([-0.1, 0, 0.1, 0], np.float32) + data.jitter * rng.normal(size=boxes.shape))
    return [spelt for _, spelt in chosen], np.asarray(np.clip(moved, 0, 1), np.float32)


def _strangers(names: list[str], lexicon: Sequence[str], data: Data, rng: np.random.Generator) -> list[str]:
    """Return words that do not stand on the pages: some of the lexicon, and misreadings of those that do."""
    drawn = [lexicon[i] for i in rng.integers(len(lexicon), size=data.strangers)] if lexicon else []
    wrong = [misread(name, rng) for name in names for _ in range(data.misreadings)]
    return sorted({*drawn, *wrong} - {*names, ""})


def misread(word: str, rng: np.random.Generator) -> str:
    """Return a word with one letter replaced (mostly by one that looks alike), left out, doubled or put in."""
    at = int(rng.integers(len(word)))
    kind = rng.random()
    if kind < 0.7:
        near = _ALIKE.get(word[at], _LETTERS) if rng.random() < 0.7 else _LETTERS
        return fold_word(word[:at] + near[int(rng.integers(len(near)))] + word[at + 1 :])
    if kind < 0.85:
        return fold_word(word[:at] + word[at + 1 :])
    return fold_word(word[:at] + _LETTERS[int(rng.integers(len(_LETTERS)))] + word[at:])


def _run(words: list[str], rng: np.random.Generator) -> str:
    """Return 4 to 16 words that follow one another somewhere on a page."""
    length = int(rng.integers(4, 17))
    start = int(rng.integers(max(1, len(words) - length + 1)))
    return " ".join(words[start : start + length])


def load_batches(recipe: Recipe, teacher: Path, start: int, pin: bool = False) -> Iterator[Batch]:
    """Yield the batches from number ``start`` on, rendered ahead by the recipe's worker processes, in order."""
    batches = ReadingBatches(recipe, teacher)
    workers = recipe.data.workers
    loader = DataLoader(
        batches, batch_size=None, sampler=range(start, len(batches)), num_workers=workers, pin_memory=pin,
        prefetch_factor=3 if workers else None, worker_init_fn=_calm if workers else None,
    )  # fmt: skip
    yield from loader


def _calm(_: int) -> None:
    torch.set_num_threads(1)


def recolor(images: Tensor, seed: int) -> Tensor:
    """Change the colours of float pages (n, 3, h, w) of -1 to 1, on the device: contrast, brightness, negative, mixed channels, grain."""
    generator = torch.Generator(device=images.device).manual_seed(seed)
    n = len(images)

    def draw(*shape: int) -> Tensor:
        return torch.rand(n, *shape, 1, 1, generator=generator, device=images.device)

    gain, shift = 0.6 + 0.4 * draw(1), 0.3 * (draw(1) - 0.5)
    sign = torch.where(draw(1) < 0.15, -1.0, 1.0)
    turned = torch.where(draw(1) < 0.3, images.roll(1, 1), images)
    grain = torch.randn(images.shape, generator=generator, device=images.device) * (0.08 * draw(1) * (draw(1) < 0.3))
    return (turned * gain * sign + shift + grain).clamp(-1, 1).contiguous(memory_format=torch.channels_last)
