"""What a language model answered: kept as it came, so that no answer is paid for twice; read, checked, and sorted by reason.

DIR/written/answers.jsonl   one line an answer: name of the request, the reply, why it ended, tokens in and out
"""

import json
import os
import re
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from visir.language import guess_language
from visir.vira.domains.base import is_readable
from visir.vira.likeness import share_within, shingles
from visir.vira.writer import WRITTEN

Texts = dict[str, list[tuple[str, str]]]
"""By kind, (text, answer) pairs; the answer is empty for captions and q2s."""

_BOUNDS = {"caption": (5, 300), "q2s": (4, 200), "sqa": (3, 200)}
"""Fewest words, most characters."""

_LONGEST_ANSWER = 200
# A page of fewer words does not say all that its picture shows.
_FEW_WORDS = 40
_SOME = 0.5
_KIN = ({"da", "nb", "sv"}, {"es", "pt", "it", "fr", "ro"}, {"de", "nl"}, {"cs", "pl"})
_THING = r"(?:page|image|picture|photo|document|slide|text|passage|excerpt|figure|diagram|chart|table|section|article|file|pdf)"
_ACTS = "shows?|depicts?|describes?|displays?|contains?|mentions?|says|states|lists|provides?|provided|given|above|below|here"
_DING = "seite|bild(?:es)?|dokuments?|texte?s?|tabelle|abbildung|folie|diagramms?"
_POINTING = re.compile(
    "|".join(
        (
            r"\bscreen ?shots?\b",
            rf"\b(?:this|these) {_THING}s?\b",
            rf"\bthe {_THING} (?:{_ACTS})\b",
            rf"\b(?:shown|depicted|described|mentioned|listed|given|stated) (?:here|above|below|(?:in|on|by) (?:the|this) {_THING})\b",
            rf"\b(?:according to|based on) (?:the|this) {_THING}\b",
            r"\b(?:in|on) the (?:image|picture|page|photo|excerpt|passage)\b",
            r"\bbildschirmfoto",
            rf"\bdies(?:e[rsmn]?) (?:{_DING})\b",
            rf"\b(?:das|die|der) (?:{_DING}) (?:zeigt|beschreibt|enthält|oben|unten)",
            r"\blaut (?:dem )?(?:text|dokument|seite)\b",
            r"\bcapture d.écran\b",
            r"\bce(?:tte)? (?:page|image|document|texte|tableau|figure|diapositive)\b",
            r"\b(?:d.après|selon) le (?:texte|document|tableau)\b",
            r"\bcaptura de pantalla\b",
            r"\best[ea] (?:página|imagen|documento|texto|tabla|figura|diapositiva)\b",
            r"\bsegún el (?:texto|documento)\b",
        )
    ),
    re.I,
)
_REFUSING = re.compile(
    r"\bas an ai\b|\blanguage model\b|\bi(?:'m| am) (?:sorry|unable)\b|\bi can(?:'t|not| not) (?:see|read|assist|help|view)\b", re.I
)
_THOUGHT = re.compile(r"<think>.*?</think>", re.S)


class Answers:
    """The answers of a set. Safe for threads, and for a kill at any moment: a line that was cut off is dropped.

    Args:
        folder: of the set.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "written" / "answers.jsonl"
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()
        self.tokens = (0, 0)
        """Tokens in and out of all answers."""
        if self._path.is_file():
            self._read()

    def _read(self) -> None:
        whole = 0
        with self._path.open("rb+") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                # A full disk cuts a line in two, and the next one is joined to it: that one is asked for again.
                with suppress(json.JSONDecodeError):
                    self._know(json.loads(line), whole)
                whole += len(line)
            file.truncate(whole)

    def _know(self, entry: dict[str, Any], place: int) -> None:
        self._places[entry["request"]] = place
        self.tokens = (self.tokens[0] + entry["tokens"][0], self.tokens[1] + entry["tokens"][1])

    def __contains__(self, request: str) -> bool:
        return request in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, request: str, reply: str, finish: str, tokens: tuple[int, int]) -> None:
        """Keep an answer; it is on disk when this returns."""
        entry = {"request": request, "reply": reply, "finish": finish, "tokens": tokens}
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                place = file.tell()
                file.write(json.dumps(entry).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            self._know(entry, place)

    def get(self, request: str) -> dict[str, Any]:
        """Return an answer: its ``reply``, and why it ended as ``finish``."""
        with self._path.open("rb") as file:
            file.seek(self._places[request])
            entry: dict[str, Any] = json.loads(file.readline())
            return entry

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._path.stat().st_size if self._path.is_file() else 0


def read_reply(reply: str, finish: str, page_text: str, language: str, kinds: tuple[str, ...], counts: Counter[str]) -> Texts:
    """Return the texts of a reply that pass the checks.

    Args:
        reply: what the model said.
        finish: why it ended, ``length`` where it was cut off.
        page_text: what is written on the page.
        language: code of the page's language, or empty.
        kinds: what was asked for.
        counts: what is dropped is counted here, by kind and reason.
    """
    found = _parse(reply)
    if found is None:
        counts["written answer dropped: cut off" if finish == "length" else "written answer dropped: no JSON"] += 1
        return {}
    runs, plain = shingles(page_text), _plain(page_text)
    texts: Texts = {}
    for kind in kinds:
        listed = found.get(WRITTEN[kind])
        if not isinstance(listed, list):
            counts[f"written {kind} dropped: field missing in the answer"] += 1
            continue
        if not listed:
            counts[f"written {kind}: nothing worth asking"] += 1
        for entry in listed:
            text, answer = _pair(kind, entry)
            reason = _wrong(kind, text, answer, language) or _copied(kind, text, answer, plain, runs)
            if not reason and any(_plain(text) == _plain(other) for other, _ in texts.get(kind, [])):
                reason = "said twice"
            if reason:
                counts[f"written {kind} dropped: {reason}"] += 1
            else:
                texts.setdefault(kind, []).append((text, answer))
    return texts


def _parse(reply: str) -> dict[str, Any] | None:
    """Return the JSON object in a reply; what models put around it, thoughts and fences, is cut off."""
    said = _THOUGHT.sub("", reply)
    start, end = said.find("{"), said.rfind("}")
    try:
        found = json.loads(said[start : end + 1], strict=False) if 0 <= start < end else None
    except (json.JSONDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _pair(kind: str, entry: object) -> tuple[str, str]:
    """Return text and answer of a list's entry; empty where it is not what was asked for."""
    text, answer = (entry.get("question"), entry.get("answer")) if kind == "sqa" and isinstance(entry, dict) else (entry, "")
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = str(answer)
    if not isinstance(text, str) or not isinstance(answer, str) or (kind == "sqa" and not answer.strip()):
        return "", ""
    return _tidy(text), _tidy(answer)


def _tidy(text: str) -> str:
    """Return a text on one line, without the half characters that JSON can name and no file can hold."""
    return " ".join(text.encode("utf-8", "ignore").decode().split())


def _wrong(kind: str, text: str, answer: str, language: str) -> str:
    """Say what is wrong with a text by itself, or nothing."""
    fewest, longest = _BOUNDS[kind]
    if not text:
        return "empty or of another form than asked"
    if _REFUSING.search(text) or _REFUSING.search(answer):
        return "refused"
    # Scripts without spaces have few words: there, characters count.
    if len(text.split()) < fewest and (text.isascii() or len(text) < 3 * fewest):
        return "too short"
    if len(text) > longest or len(answer) > _LONGEST_ANSWER:
        return "too long"
    if not is_readable(text, 1):
        return "hardly any words"
    # Whoever asks about a page has it before them; whoever searches has not.
    if kind != "sqa" and _POINTING.search(text):
        return "speaks of the page as such"
    guessed = guess_language(text)
    if language and guessed and guessed != language and not any({guessed, language} <= kin for kin in _KIN):
        return "in another language"
    return ""


def _copied(kind: str, text: str, answer: str, page: str, runs: Any) -> str:
    """Say where a text only repeats the page, or an answer has nothing to do with it; else nothing."""
    if f" {_plain(text)} " in f" {page} " or (len(text.split()) >= 10 and share_within(shingles(text), runs) > _SOME):
        return "copy of the page"
    if kind == "sqa" and len(page.split()) >= _FEW_WORDS:
        on_page = set(page.split())
        words = _plain(answer).split()
        if sum(word in on_page for word in words) < _SOME * len(words):
            return "answer is not on the page"
    return ""


def _plain(text: str) -> str:
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.casefold()).split())
