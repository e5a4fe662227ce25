"""A server of visir, asked from Python.

::

    with Client("http://127.0.0.1:7333") as visir:
        for hit in visir.search("chart of rainfall").hits:
            print(hit.score, hit.uri, hit.page)
"""

import base64
import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel

from visir.screenshot import Box
from visir.serve.options import TOKEN_VARIABLE, ServeError
from visir.serve.schemas import (
    DocumentList,
    Filters,
    Health,
    Job,
    Like,
    PageModel,
    Picture,
    Removed,
    SearchRequest,
    SearchResponse,
    StatusModel,
)

_M = TypeVar("_M", bound=BaseModel)


class RequestError(ServeError):
    """The server did not do what was asked.

    Args:
        status: HTTP status; 0 where no answer came.
        message: what the server says.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Client:
    """Talks to a server; may be used by several threads. A context manager.

    Args:
        address: where the server is.
        token: what it asks for; ``$VISIR_TOKEN`` where left out.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, address: str = "http://127.0.0.1:7333", token: str | None = None, timeout: float = 60.0) -> None:
        secret = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        self._http = httpx2.Client(base_url=address, headers=headers, timeout=timeout)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> Health:
        """Ask whether the server is up."""
        return self._get(Health, "/health")

    def status(self) -> StatusModel:
        """Ask what the index holds."""
        return self._get(StatusModel, "/api/status")

    def metrics(self) -> str:
        """Return the counters in Prometheus's form."""
        return self._send("GET", "/metrics").text

    # Searching

    def search(
        self,
        text: str = "",
        image: bytes | str | os.PathLike[str] | None = None,
        like: tuple[str, int] | Like | None = None,
        filters: Filters | None = None,
        **choices: Any,
    ) -> SearchResponse:
        """Find pages.

        Args:
            text: words; beside a picture they say what should differ.
            image: a picture: its bytes or its file.
            like: a page of the index, as (uri, page), in place of a picture.
            filters: which pages may be found.
            choices: ``count``, ``skip``, ``words``, ``min_score``, as in `SearchRequest`.

        Raises:
            RequestError: the query makes no sense, or the server is busy.
        """
        if isinstance(like, tuple):
            like = Like(uri=like[0], page=like[1])
        encoded = data_url(image) if image is not None else ""
        request = SearchRequest(text=text, image=encoded, like=like, filters=filters or Filters(), **choices)
        return self._post(SearchResponse, "/api/search", request.model_dump())

    def page(self, uri: str, page: int = 1) -> PageModel:
        """Return a page with its words and neighbours."""
        return self._get(PageModel, "/api/page", {"uri": uri, "page": page})

    def picture(self, picture: Picture, width: int | None = None, box: Box | None = None) -> bytes:
        """Return the JPEG of a page, smaller or a part of it where asked."""
        query: dict[str, Any] = {}
        if width is not None:
            query["width"] = width
        if box is not None:
            query["box"] = ",".join(map(str, box))
        return self._send("GET", picture.url, params=query).content

    def original(self, uri: str) -> bytes:
        """Return the file of a document."""
        return self._send("GET", "/api/original", params={"uri": uri}).content

    # Documents

    def documents(self, skip: int = 0, count: int = 50, name: str = "", state: str = "") -> DocumentList:
        """List documents, the newest first."""
        return self._get(DocumentList, "/api/documents", {"skip": skip, "count": count, "name": name, "state": state})

    def upload(self, *paths: str | os.PathLike[str]) -> Job:
        """Send files to be indexed."""
        with contextlib.ExitStack() as stack:
            files = [("files", (Path(path).name, stack.enter_context(Path(path).open("rb")))) for path in paths]
            return self._model(Job, self._send("POST", "/api/documents/files", files=files))

    def add(self, *urls: str) -> Job:
        """Have web addresses captured and indexed."""
        return self._post(Job, "/api/documents", {"urls": list(urls)})

    def remove(self, *uris: str) -> int:
        """Take documents out of the index; returns how many there were."""
        return self._model(Removed, self._send("DELETE", "/api/documents", params={"uri": list(uris)})).removed

    def refresh(self) -> Job:
        """Have everything brought up to date."""
        return self._model(Job, self._send("POST", "/api/refresh"))

    # Jobs

    def jobs(self) -> list[Job]:
        """List jobs, the newest first."""
        return [Job(**job) for job in self._send("GET", "/api/jobs").json()]

    def job(self, name: str) -> Job:
        """Return a job."""
        return self._get(Job, f"/api/jobs/{name}")

    def cancel(self, name: str) -> Job:
        """Cancel a job."""
        return self._model(Job, self._send("DELETE", f"/api/jobs/{name}"))

    def watch(self, job: Job | str) -> Iterator[Job]:
        """Yield a job as it goes on, until it is over."""
        name = job.id if isinstance(job, Job) else job
        with self._told(), self._http.stream("GET", f"/api/jobs/{name}/events") as answer:
            if answer.is_error:
                answer.read()
                _check(answer)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield Job(**json.loads(line.removeprefix("data:")))

    def wait(self, job: Job | str) -> Job:
        """Wait until a job is over, and return what became of it."""
        steps = list(self.watch(job))
        if not steps or steps[-1].state in ("queued", "running"):
            raise RequestError(0, "the server stopped before the job was over; it goes on with it at its next start")
        return steps[-1]

    # What other programs' clients ask for

    def embed(self, *inputs: str, input_type: str = "query") -> list[list[float]]:
        """Return the vectors of texts, as the index's model makes them."""
        body = {"model": "visir", "input": list(inputs), "input_type": input_type}
        return [item["embedding"] for item in self._send("POST", "/v1/embeddings", json=body).json()["data"]]

    def rerank(self, query: str, documents: Sequence[str | dict[str, Any]], top_n: int | None = None) -> list[tuple[int, float]]:
        """Order documents (texts, pictures, pages, parts of pages) by how well they answer; returns (number, score), best first."""
        body = {"model": "visir", "query": query, "documents": list(documents), "top_n": top_n}
        found = self._send("POST", "/v1/rerank", json=body).json()["results"]
        return [(item["index"], item["relevance_score"]) for item in found]

    def _get(self, model: type[_M], path: str, query: dict[str, Any] | None = None) -> _M:
        return self._model(model, self._send("GET", path, params=query or {}))

    def _post(self, model: type[_M], path: str, body: Any) -> _M:
        return self._model(model, self._send("POST", path, json=body))

    def _model(self, model: type[_M], answer: httpx2.Response) -> _M:
        return model(**answer.json())

    def _send(self, method: str, path: str, **parts: Any) -> httpx2.Response:
        with self._told():
            answer = self._http.request(method, path, **parts)
        _check(answer)
        return answer

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Raise what goes wrong on the way as a `RequestError`."""
        try:
            yield
        except httpx2.TransportError as error:
            raise RequestError(0, f"{self._http.base_url} does not answer ({error}): is `visir serve` running there?") from error


def _check(answer: httpx2.Response) -> None:
    if answer.is_success:
        return
    try:
        told = answer.json()
        message = told.get("detail") or told["error"]["message"]
    except (ValueError, KeyError, AttributeError):
        message = answer.text[:200]
    raise RequestError(answer.status_code, message if isinstance(message, str) else json.dumps(message))


def data_url(image: bytes | str | os.PathLike[str]) -> str:
    """Write a picture, given as bytes or as a file, as a data URL."""
    content = image if isinstance(image, bytes) else Path(image).read_bytes()
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
