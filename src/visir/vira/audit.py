"""Estimate how many mined negatives are right after all: a cross-encoder and string evidence judge a sample, with a confidence interval."""

import base64
import html
import json
import math
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from visir.unise.onnx import open_session
from visir.unise.wordpiece import WordPiece
from visir.vira.corpora import CARRIER, Corpora
from visir.vira.dataset import Dataset, Row

_TOKENS = 512
_SHOWN = 40


@dataclass(frozen=True)
class Judged:
    """One mined negative.

    Args:
        row, image: of the negative; ``kind``, ``domain`` and ``text`` of its row, ``target`` the right picture.
        right, wrong: the judge's scores of the right page and of the negative.
        words: share of the question's words that are on the negative.
    """

    row: str
    image: str
    kind: str
    domain: str
    text: str
    target: str
    right: float
    wrong: float
    words: float

    @property
    def suspect(self) -> bool:
        """Whether it may be right too: the judge puts it above the right page, or it has every word of the question."""
        return self.wrong >= self.right or self.words >= 1.0


class CrossEncoder:
    """Scores how well a page answers a question; stronger than the embedder that mined, as it reads both together.

    ms-marco-MiniLM-L12, a cross-encoder for passages (Apache-2.0).
    """

    def __init__(self, corpora: Corpora) -> None:
        folder = corpora.carried("reranker_en")
        self._tokens = WordPiece(folder / "vocab.txt")
        self._session = open_session(folder / "model.onnx")
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def score(self, question: str, page: str) -> float:
        """Return the judge's score; higher is better, only the order of scores of one question means something."""
        tokens = self._tokens
        first = [tokens.start, *tokens(question)[:100], tokens.end]
        second = [*tokens(page[: _TOKENS * 20])[: _TOKENS - len(first) - 1], tokens.end]
        ids = np.array([first + second], np.int64)
        kinds = np.array([[0] * len(first) + [1] * len(second)], np.int64)
        offered = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": kinds}
        return float(self._session.run(None, {name: offered[name] for name in self._inputs})[0].ravel()[0])


def audit(folder: Path, corpora: Corpora, count: int, seed: int = 0) -> dict[str, object]:
    """Judge a sample of a set's mined negatives.

    Args:
        folder: of the set; ``audit.json`` and ``audit.html`` are written there.
        corpora: where the judge is kept.
        count: negatives to judge, one a row, of rows that ask with a text.
        seed: of the sample.

    Returns:
        How many were judged, how many are suspect, the share and its 95 % interval (Wilson), and the same by domain.
    """
    data, judge = Dataset(folder), CrossEncoder(corpora)
    draw = random.Random(seed)
    rows = [row for kind in ("caption", "q2s") for row in data.rows(kind) if row.negatives]
    judged = [_judge(row, draw.choice(row.negatives), data, judge) for row in draw.sample(rows, min(count, len(rows)))]
    domains = sorted({entry.domain for entry in judged})
    told: dict[str, object] = {
        **_estimate(judged),
        "judge": CARRIER,
        "domains": {name: _estimate([entry for entry in judged if entry.domain == name]) for name in domains},
    }
    (folder / "audit.json").write_text(json.dumps({**told, "sample": [asdict(entry) for entry in judged]}, indent=1), "utf-8")
    (folder / "audit.html").write_text(_sheet(judged, data, told), "utf-8")
    return told


def interval(found: int, count: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a share (Wilson 1927); it is right for small counts too."""
    if count == 0:
        return 0.0, 1.0
    z = 1.959964
    share = found / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _judge(row: Row, image: str, data: Dataset, judge: CrossEncoder) -> Judged:
    right, wrong = data.screenshot(row.target), data.screenshot(image)
    scores = [judge.score(row.text, f"{shot.title}\n{shot.text}") for shot in (right, wrong)]
    asked = {word for word in _words(row.text) if len(word) > 3}
    share = len(asked & set(_words(f"{wrong.title} {wrong.text}"))) / len(asked) if asked else 0.0
    return Judged(row.id, image, row.kind, row.domain, row.text, row.target, round(scores[0], 3), round(scores[1], 3), round(share, 3))


def _words(text: str) -> list[str]:
    return "".join(letter.lower() if letter.isalnum() else " " for letter in text).split()


def _estimate(judged: list[Judged]) -> dict[str, object]:
    found = sum(entry.suspect for entry in judged)
    low, high = interval(found, len(judged))
    return {
        "judged": len(judged),
        "suspect": found,
        "share": round(found / max(1, len(judged)), 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def _sheet(judged: list[Judged], data: Dataset, told: dict[str, object]) -> str:
    """Write one HTML page to look at: suspects first, the question between the right page and the negative."""
    worst = sorted(judged, key=lambda entry: (not entry.suspect, entry.right - entry.wrong))[:_SHOWN]
    verdicts = {True: "suspect", False: "looks wrong, as it should"}
    rows = "".join(
        f"<tr><td>{_picture(entry.target, data)}<br>{entry.right:.2f}</td><td><b>{html.escape(entry.text)}</b><br>"
        f"{entry.kind}, {entry.domain}<br>{verdicts[entry.suspect]}; {entry.words:.0%} of the words</td>"
        f"<td>{_picture(entry.image, data)}<br>{entry.wrong:.2f}</td></tr>"
        for entry in worst
    )
    style = "body{font:15px sans-serif}td{vertical-align:top;padding:8px;border-top:1px solid #ccc}img{width:300px}"
    summary = (
        f"{told['suspect']} of {told['judged']} mined negatives are suspect: {told['share']:.1%} ({told['low']:.1%} to {told['high']:.1%})"
    )
    head = "<tr><th>right page</th><th>asked</th><th>mined negative</th></tr>"
    return f'<!doctype html><meta charset="utf-8"><title>Audit</title><style>{style}</style><h1>{summary}</h1><table>{head}{rows}</table>'


def _picture(image: str, data: Dataset) -> str:
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data.picture(image)).decode()}">'
