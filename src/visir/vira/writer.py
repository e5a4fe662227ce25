"""A language model that writes captions and questions: which one, what it is asked, what it costs.

Any endpoint will do that speaks OpenAI's chat completions, text-only or with pictures: vLLM, llama.cpp, Ollama or a hosted one.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

from visir.errors import DatasetError

WRITTEN = {"caption": "captions", "q2s": "questions", "sqa": "answers"}
"""Kinds of rows that a language model can write, and the fields of its answer."""

_PROMPTS = Path(__file__).parent / "prompts"
_LANGUAGES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nb": "Norwegian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
# Rough measures, for the estimate alone: four bytes of text, or a square of 28 x 28 pixels, are a token.
BYTES_A_TOKEN = 4
_PIXELS_A_TOKEN = 28 * 28


@dataclass(frozen=True)
class Writer:
    """The table ``[writer]`` of a recipe.

    Args:
        url: of the endpoint, up to and without ``/chat/completions``, as in ``http://127.0.0.1:8000/v1``.
        model: name of the model there.
        key: name of the environment variable that holds the key; empty where none is asked for.
        vision: whether the page's picture is sent along.
        kinds: what is written: ``caption``, ``q2s``, ``sqa``.
        each: texts of each kind asked of a page, at most.
        share: of the pages that are written about, chosen by their pictures alone.
        characters: of a page's text that are sent at most; 0 for none, which takes ``vision``.
        answer_tokens: longest answer.
        requests_a_minute: at most, repeated ones included; 0 for no limit. ``parallel`` at a time.
        timeout: seconds that an answer may take.
        retries: of a request after a timeout, a broken connection, status 408, 409, 429 or 5xx.
        price_in, price_out: of a million tokens, in any currency.
        budget: what the whole set may cost, in the same; 0 for no limit.
        prompts: folder whose files replace those of ``visir/vira/prompts`` of the same name.
        options: further fields of the request, as in ``{temperature = 0.7, response_format = {type = "json_object"}}``.
    """

    url: str
    model: str
    key: str = ""
    vision: bool = False
    kinds: tuple[str, ...] = tuple(WRITTEN)
    each: int = 2
    share: float = 1.0
    characters: int = 6000
    answer_tokens: int = 600
    requests_a_minute: float = 0.0
    parallel: int = 4
    timeout: float = 120.0
    retries: int = 8
    price_in: float = 0.0
    price_out: float = 0.0
    budget: float = 0.0
    prompts: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def secret(self) -> str:
        """The key, for the header; a placeholder where none is asked for.

        Raises:
            DatasetError: the environment variable is not set.
        """
        if self.key and not os.environ.get(self.key):
            raise DatasetError(f"[writer] takes its key from the environment variable {self.key}, which is not set")
        return os.environ[self.key] if self.key else "none"

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return the price of tokens."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def prompt(self, name: str, **values: object) -> str:
        """Return a prompt with its blanks filled.

        Raises:
            DatasetError: it has a blank that there is nothing for.
        """
        try:
            return Template(self._templates[name]).substitute(values).strip()
        except (KeyError, ValueError) as error:
            blanks = ", ".join(f"${blank}" for blank in values)
            raise DatasetError(
                f"the prompt {name}.txt cannot be filled ({error}): it may have {blanks}, and $$ for a dollar sign"
            ) from error

    @cached_property
    def _templates(self) -> dict[str, str]:
        own = Path(self.prompts).expanduser() if self.prompts else _PROMPTS
        return {path.stem: (own / path.name if (own / path.name).is_file() else path).read_text("utf-8") for path in _PROMPTS.glob("*.txt")}


@dataclass(frozen=True)
class Request:
    """What is asked about one page.

    Args:
        writer: who is asked.
        image: id of the page's picture.
        size: its width and height in pixels.
        title, text: of the page.
        language: code of its language, or empty.
    """

    writer: Writer
    image: str
    size: tuple[int, int]
    title: str
    text: str
    language: str

    @cached_property
    def _prompts(self) -> tuple[str, str]:
        writer = self.writer
        wanted = "\n".join(writer.prompt(kind, count=writer.each) for kind in writer.kinds)
        system = writer.prompt("system", language=_LANGUAGES.get(self.language, "the language of the page"), fields=wanted)
        return system, writer.prompt("page" if writer.characters else "picture", title=self.title, text=self.text[: writer.characters])

    @cached_property
    def name(self) -> str:
        """Digest of all that the answer depends on: a request of the same name is not sent twice."""
        writer = self.writer
        said = [writer.model, writer.vision and self.image, *self._prompts, writer.answer_tokens, writer.options]
        return hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()

    @property
    def tokens(self) -> int:
        """About how many tokens are sent."""
        written = sum(len(prompt.encode()) for prompt in self._prompts) // BYTES_A_TOKEN
        return written + (self.size[0] * self.size[1] // _PIXELS_A_TOKEN if self.writer.vision else 0)

    def body(self, picture: bytes) -> dict[str, Any]:
        """Return the request's fields.

        Args:
            picture: the page's picture, as JPEG; it is sent if the model has vision.
        """
        system, page = self._prompts
        content: Any = page
        if self.writer.vision:
            address = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
            content = [{"type": "text", "text": page}, {"type": "image_url", "image_url": {"url": address}}]
        # Some hosted models know the limit by its newer name alone.
        limit = {} if "max_completion_tokens" in self.writer.options else {"max_tokens": self.writer.answer_tokens}
        messages = [{"role": "system", "content": system}, {"role": "user", "content": content}]
        return {"model": self.writer.model, "messages": messages, **limit}


def read_writer(path: Path, table: object) -> Writer:
    """Read the table ``[writer]`` of a recipe.

    Args:
        path: of the recipe, for messages.
        table: what stands there.

    Raises:
        DatasetError: it lacks something or makes no sense.
    """
    if not isinstance(table, dict):
        raise DatasetError(f"{path}: writer must be a table, [writer]")
    known = {entry.name: entry for entry in fields(Writer)}
    if unknown := sorted(set(table) - set(known)):
        raise DatasetError(f"{path}: [writer] {', '.join(unknown)}: no such setting; there are {', '.join(sorted(known))}")
    if missing := [name for name in ("url", "model") if not table.get(name)]:
        raise DatasetError(f"{path}: [writer] {' and '.join(missing)} missing: the endpoint's address and the model's name")
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float), "tuple[str, ...]": (list,)}
    for name, value in table.items():
        expected = kinds.get(str(getattr(known[name].type, "__name__", known[name].type)), (dict, list))
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise DatasetError(f"{path}: [writer] {name} = {value!r} is not of the right type ({expected[-1].__name__})")
    writer = Writer(**{**table, "kinds": tuple(table.get("kinds", WRITTEN))})
    wrong = [
        (not writer.url.startswith(("http://", "https://")), "url must start with http:// or https://"),
        (writer.url.rstrip("/").endswith("/chat/completions"), "url must end before /chat/completions"),
        (not writer.kinds or not set(writer.kinds) <= set(WRITTEN), f"kinds must be some of {', '.join(WRITTEN)}"),
        (not 0 < writer.share <= 1, "share must be above 0 and at most 1"),
        (
            min(writer.each, writer.parallel, writer.answer_tokens) < 1 or writer.timeout <= 0,
            "each, parallel, answer_tokens and timeout: above 0",
        ),
        (min(writer.retries, writer.characters, writer.requests_a_minute, writer.budget) < 0, "no number may be negative"),
        (min(writer.price_in, writer.price_out) < 0, "no number may be negative"),
        (writer.characters == 0 and not writer.vision, "characters = 0 sends no text: then vision must be true"),
        (bool(writer.budget) and not writer.price_in + writer.price_out, "a budget takes price_in and price_out, of a million tokens"),
        (bool(writer.prompts) and not Path(writer.prompts).expanduser().is_dir(), f"prompts: there is no folder {writer.prompts}"),
    ]
    for is_wrong, said in wrong:
        if is_wrong:
            raise DatasetError(f"{path}: [writer] {said}")
    return writer
