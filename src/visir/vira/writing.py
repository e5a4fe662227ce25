"""Ask a language model about the pages of a set: within a rate and a budget, each page once, and go on where a run was broken off."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from visir.errors import DatasetError
from visir.vira.answers import Answers
from visir.vira.config import Config
from visir.vira.page import share_of
from visir.vira.writer import BYTES_A_TOKEN, Request, Writer

_COLUMNS = ["id", "width", "height", "title", "text", "language"]
# A page of fewer words says too little to a model that does not see it.
_FEW_WORDS = 20
# An endpoint that fails so many pages in a row, each after all retries, is down: more pages would not mend it.
_GIVE_UP = 5
_SAY_SECONDS = 10.0


@dataclass(frozen=True)
class Estimate:
    """What is to be asked.

    Args:
        pages: to be asked about; ``answered`` were before, or another page of the same text is; ``wordless`` have too little text
            for a model that does not see.
        tokens_in: about so many; ``tokens_out`` at most.
        cost: of both; at most, in the currency of the prices.
        spent: on answers of earlier runs.
    """

    pages: int
    answered: int
    wordless: int
    tokens_in: int
    tokens_out: int
    cost: float
    spent: float

    def told(self, writer: Writer) -> str:
        """Return it as a line for people."""
        parts = [f"{writer.model} at {writer.url} is to write about {self.pages:,} pages"]
        parts += [f"{self.answered:,} are written about already"] if self.answered else []
        parts += [f"about {self.tokens_in:,} tokens in, at most {self.tokens_out:,} out"] if self.pages else []
        if self.pages and writer.price_in + writer.price_out:
            parts.append(f"costs {self.cost:,.2f} at most, or about that")
        if writer.requests_a_minute and self.pages:
            parts.append(f"{self.pages / writer.requests_a_minute:,.0f} minutes or more")
        if writer.budget and self.spent + self.cost > writer.budget:
            parts.append(f"it stops at the budget of {writer.budget:,.2f}, of which {self.spent:,.2f} are spent")
        return " · ".join(parts)


def estimate(folder: Path, config: Config, writer: Writer, drop: frozenset[str] = frozenset()) -> Estimate:
    """Return what writing would cost from here on.

    Args:
        folder: of the set; its pictures are there.
        config: the set's recipe; ``writer`` its writer.
        drop: ids of pictures that are not asked about.
    """
    answers = Answers(folder)
    count: Counter[str] = Counter()
    seen: set[str] = set()
    for path in _shards(folder, config):
        for request in _requests(path, writer, drop):
            # To a model that does not see, pages of the same text are one.
            known = request.name in answers or request.name in seen
            kind = "wordless" if _is_wordless(request) else "answered" if known else "pages"
            seen.add(request.name)
            count[kind] += 1
            if kind == "pages":
                count["in"] += request.tokens
    out = count["pages"] * writer.answer_tokens
    cost, spent = writer.cost(count["in"], out), writer.cost(*answers.tokens)
    return Estimate(count["pages"], count["answered"], count["wordless"], count["in"], out, cost, spent)


def write(folder: Path, config: Config, writer: Writer, say: Callable[[str], None], drop: frozenset[str] = frozenset()) -> Counter[str]:
    """Ask about every page that has not been answered for; answers are kept as they come.

    Args:
        folder: of the set; its pictures are there.
        config: the set's recipe; ``writer`` its writer.
        say: told the estimate, then how far it is.
        drop: ids of pictures that are not asked about.

    Returns:
        How many pages have answers, and how many have none for which reason.

    Raises:
        DatasetError: the endpoint refuses the key or the model, or does not answer at all; what was written is kept.
    """
    told = estimate(folder, config, writer, drop)
    say(told.told(writer))
    counts: Counter[str] = Counter()
    if told.pages:
        with _Endpoint(writer, Answers(folder)) as endpoint:
            counts.update(_Run(endpoint, told, say).ask(_unanswered(folder, config, endpoint, drop)))
    counts["pages written about"] += told.answered
    if told.wordless:
        counts["pages not written about: too little text"] = told.wordless
    return counts


def _shards(folder: Path, config: Config) -> list[Path]:
    return [path for name in config.names for path in sorted((folder / "images").glob(f"{name}-*.parquet"))]


def _requests(path: Path, writer: Writer, drop: frozenset[str]) -> Iterator[Request]:
    """Yield what would be asked about the pages of a shard that are among the writer's share."""
    for row in pq.read_table(path, columns=_COLUMNS).to_pylist():
        if row["id"] not in drop and is_chosen(writer, row["id"]):
            yield Request(writer, row["id"], (row["width"], row["height"]), row["title"], row["text"], row["language"])


def is_chosen(writer: Writer, image: str) -> bool:
    """Whether a page is among the share that is written about."""
    return share_of("writer", image) < writer.share


def _is_wordless(request: Request) -> bool:
    return not request.writer.vision and len(request.text.split()) < _FEW_WORDS


def _unanswered(folder: Path, config: Config, endpoint: "_Endpoint", drop: frozenset[str]) -> Iterator[tuple[Request, bytes]]:
    """Yield the requests to send, with the pages' pictures where the model sees; one shard's pictures are in memory at a time."""
    seen: set[str] = set()
    for path in _shards(folder, config):
        wanted = []
        for request in _requests(path, endpoint.writer, drop):
            if request.name not in endpoint.answers and request.name not in seen and not _is_wordless(request):
                seen.add(request.name)
                wanted.append(request)
        pictures: dict[str, bytes] = {}
        if wanted and endpoint.writer.vision:
            table = pq.ParquetFile(path).read(columns=["id", "image.bytes"]).to_pylist()
            pictures = {row["id"]: row["image"]["bytes"] for row in table}
        for request in wanted:
            yield request, pictures.get(request.image, b"")


class _Endpoint:
    """The language model. Used by several threads."""

    def __init__(self, writer: Writer, answers: Answers) -> None:
        import openai

        self.writer, self.answers = writer, answers
        self._pace = threading.Lock()
        self._next = 0.0
        self.trouble = ""
        """What the endpoint last complained of."""
        # Each try passes the hook, so that those that `openai` repeats by itself keep to the rate too.
        http = openai.DefaultHttpxClient(event_hooks={"request": [self._keep_pace]})
        self._client = openai.OpenAI(
            api_key=writer.secret, base_url=writer.url, timeout=writer.timeout, max_retries=writer.retries, http_client=http
        )

    def __enter__(self) -> "_Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def _keep_pace(self, _: object) -> None:
        if not self.writer.requests_a_minute:
            return
        with self._pace:
            start = max(self._next, time.monotonic())
            self._next = start + 60 / self.writer.requests_a_minute
        time.sleep(max(0.0, start - time.monotonic()))

    def ask(self, request: Request, picture: bytes) -> str:
        """Ask about a page and keep the answer; return why there is none, or nothing.

        Raises:
            DatasetError: the key, the model or the address is wrong.
        """
        import openai

        try:
            reply: Any = self._client.chat.completions.create(**request.body(picture), extra_body=dict(self.writer.options))
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise DatasetError(f"{self.writer.url} refuses the request ({_line(error)}): check url, model and key in [writer]") from error
        except (openai.APIError, ValueError) as error:
            self.trouble = _line(error)
            if isinstance(error, openai.APITimeoutError):
                return f"no answer within {self.writer.timeout:g} s"
            return f"status {error.status_code}" if isinstance(error, openai.APIStatusError) else self.trouble
        # `openai` does not check what it reads: any field may be missing.
        choices = getattr(reply, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, "message", None)
        if message is None:
            self.trouble = "no chat completion in the answer"
            return self.trouble
        said = getattr(message, "content", None)
        said = said if isinstance(said, str) else ""
        used = getattr(reply, "usage", None)
        tokens_in, tokens_out = getattr(used, "prompt_tokens", None), getattr(used, "completion_tokens", None)
        if not isinstance(tokens_in, int) or not isinstance(tokens_out, int):
            # A server that does not count is counted for.
            tokens_in, tokens_out = request.tokens, len(said.encode()) // BYTES_A_TOKEN
        self.answers.add(request.name, said, str(getattr(choice, "finish_reason", "")), (tokens_in, tokens_out))
        return ""


class _Run:
    """Sends requests, some at a time, as long as budget and endpoint hold out."""

    def __init__(self, endpoint: _Endpoint, told: Estimate, say: Callable[[str], None]) -> None:
        self._endpoint, self._told, self._say = endpoint, told, say
        self._counts: Counter[str] = Counter()
        self._failed = 0
        self._started = self._last_said = time.monotonic()

    def ask(self, requests: Iterator[tuple[Request, bytes]]) -> Counter[str]:
        writer = self._endpoint.writer
        under_way: dict[Future[str], float] = {}
        with ThreadPoolExecutor(writer.parallel) as pool:
            try:
                for request, picture in requests:
                    price = writer.cost(request.tokens, writer.answer_tokens)
                    while under_way and (len(under_way) >= writer.parallel or not self._affords(price, under_way)):
                        self._finish(under_way)
                    if not self._affords(price, under_way):
                        break
                    under_way[pool.submit(self._endpoint.ask, request, picture)] = price
                while under_way:
                    self._finish(under_way)
            finally:
                # What is under way is paid for: it ends, and its answers are kept.
                pool.shutdown(cancel_futures=True)
        if left := self._told.pages - self._counts.total():
            self._counts["pages not written about: the budget is spent"] = left
        self._report()
        return self._counts

    def _affords(self, price: float, under_way: dict[Future[str], float]) -> bool:
        writer = self._endpoint.writer
        spent = writer.cost(*self._endpoint.answers.tokens)
        return not writer.budget or spent + sum(under_way.values()) + price <= writer.budget

    def _finish(self, under_way: dict[Future[str], float]) -> None:
        """Wait until a request has ended; give up if many in a row failed."""
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            del under_way[future]
            reason = future.result()
            self._counts[f"pages not written about: {reason}" if reason else "pages written about"] += 1
            self._failed = self._failed + 1 if reason else 0
            if self._failed >= _GIVE_UP:
                raise DatasetError(
                    f"{self._endpoint.writer.url} failed {_GIVE_UP} pages in a row ({self._endpoint.trouble}): "
                    f"{len(self._endpoint.answers):,} answers are kept, the same command goes on from there"
                )
        if time.monotonic() - self._last_said > _SAY_SECONDS:
            self._report()

    def _report(self) -> None:
        writer = self._endpoint.writer
        self._last_said = time.monotonic()
        done = self._counts["pages written about"]
        rate = 60 * done / max(0.1, self._last_said - self._started)
        money = f" · {writer.cost(*self._endpoint.answers.tokens):,.2f} spent in all" if writer.price_in + writer.price_out else ""
        self._say(f"written about {done:,} of {self._told.pages:,} pages · {rate:,.0f} a minute{money}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
