"""What clients of other embedding servers expect: ``/v1/embeddings`` and ``/v1/models`` as OpenAI has them, ``/v1/rerank`` as Jina has it.

An input is a text, a part (``{"type": "image_url", …}``, ``{"type": "text", …}``), or several parts together, which become one vector:
``{"content": [parts]}`` or the messages form that vLLM takes. Pictures are data URLs; addresses are not fetched.
"""

import base64
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, field_validator

from visir.errors import QueryError
from visir.screenshot import Query, Screenshot
from visir.serve.api import PROBLEMS, Here
from visir.serve.library import Library
from visir.serve.pictures import decode_picture
from visir.serve.rerank import embed, weigh
from visir.serve.schemas import BoxModel, Like, PageNumber, Uri
from visir.unise.embedder import Vectors

_MOST_INPUTS = 256
Text = Annotated[str, Field(max_length=200_000)]


class ImageUrl(BaseModel):
    """A picture as a data URL."""

    url: str


class TextPart(BaseModel):
    """A text within an input of several parts."""

    type: Literal["text"]
    text: Text


class ImagePart(BaseModel):
    """A picture within an input of several parts."""

    type: Literal["image_url"]
    image_url: ImageUrl | str


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Parts(BaseModel):
    """Parts that belong together; as a message it has a role, which says nothing here."""

    content: Text | list[Part]
    role: str = "user"


Input = Text | Part | Parts


class EmbeddingRequest(BaseModel):
    """A request for vectors; names that other servers know and this one does not need are passed over."""

    model: str = ""
    input: Input | list[Input] = []
    messages: list[Parts] = Field(default=[], description="In place of `input`: one vector of all texts and the picture in the messages.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    input_type: Literal["query", "document", "search_query", "search_document", "passage"] = "query"

    @field_validator("input", mode="before")
    @classmethod
    def _no_tokens(cls, given: object) -> object:
        # Some clients cut texts into tokens by themselves, with the words of a model that is not here.
        first = given[0] if isinstance(given, list) and given else None
        if isinstance(first, int) or (isinstance(first, list) and first and isinstance(first[0], int)):
            raise ValueError("send texts, not numbers of tokens (in LangChain: check_embedding_ctx_length=False)")
        return given


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Words taken in; this server does not count tokens."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """Vectors in the order of the inputs."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class ModelCard(BaseModel):
    """The model."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "visir"


class ModelList(BaseModel):
    """The one model that is served."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Region(BaseModel):
    """A page of the index, or a part of it."""

    uri: Uri
    page: PageNumber = 1
    box: BoxModel | None = None


class TextDocument(BaseModel):
    """A text."""

    text: Text


class ImageDocument(BaseModel):
    """A picture as a data URL."""

    image: str


class RerankQuery(BaseModel):
    """What is asked, where it is more than a text."""

    text: Text = ""
    image: str = ""


class RerankRequest(BaseModel):
    """A request to order documents by how well they answer."""

    model: str = ""
    query: Text | RerankQuery
    documents: list[Text | TextDocument | ImageDocument | Region] = Field(min_length=1, max_length=_MOST_INPUTS)
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool = False


class Ranked(BaseModel):
    """One document, and how well it answers, 0 to 1."""

    index: int
    relevance_score: float
    document: Any = None


class RerankResponse(BaseModel):
    """Documents, the best first."""

    model: str
    results: list[Ranked]


router = APIRouter(prefix="/v1", responses=PROBLEMS, tags=["for clients of other servers"])


@router.get("/models")
async def models(server: Here) -> ModelList:
    """Name the model."""
    return ModelList(data=[ModelCard(id=server.library.embedder.name)])


@router.post("/embeddings")
async def embeddings(server: Here, request: EmbeddingRequest) -> EmbeddingResponse:
    """Embed texts, pictures, or both together."""
    dim = server.library.embedder.dim
    if request.dimensions not in (None, dim):
        raise QueryError(f"the model's vectors have {dim} dimensions")
    inputs = _inputs(request)
    as_query = request.input_type in ("query", "search_query")
    for picture in {picture for _, picture in inputs if picture}:
        await server.look(picture)
    vectors = await server.searches.run(partial(_embed, server.library, inputs, as_query))
    words = sum(len(text.split()) for text, _ in inputs)
    return EmbeddingResponse(
        data=[Embedding(index=number, embedding=_written(vector, request.encoding_format)) for number, vector in enumerate(vectors)],
        model=server.library.embedder.name,
        usage=Usage(prompt_tokens=words, total_tokens=words),
    )


@router.post("/rerank")
async def rerank(server: Here, request: RerankRequest) -> RerankResponse:
    """Order texts, pictures, pages of the index or parts of them by how well they answer."""
    query = RerankQuery(text=request.query) if isinstance(request.query, str) else request.query
    pictures = [query.image, *(item.image for item in request.documents if isinstance(item, ImageDocument))]
    for picture in filter(None, dict.fromkeys(pictures)):
        await server.look(picture)
    scores = await server.searches.run(partial(_rerank, server.library, query, request.documents))
    order = sorted(range(len(scores)), key=lambda number: -scores[number])[: request.top_n]
    shown = request.documents if request.return_documents else [None] * len(scores)
    return RerankResponse(
        model=server.library.embedder.name,
        results=[Ranked(index=number, relevance_score=scores[number], document=shown[number]) for number in order],
    )


def is_ours(request: Request) -> bool:
    """Say whether a request came to these routes, whose errors have OpenAI's form."""
    return request.url.path.startswith("/v1/")


def error_answer(status: int, message: str) -> JSONResponse:
    """Return an error as OpenAI's clients read it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "code": status}, "detail": message}
    return JSONResponse(body, status, headers={"retry-after": "1"} if status == 503 else None)


def _inputs(request: EmbeddingRequest) -> list[tuple[str, str]]:
    """Return the inputs as pairs of text and picture."""
    if request.messages:
        if request.input:
            raise QueryError("give input or messages, not both")
        return [_joined([part for message in request.messages for part in _parts(message)])]
    given = request.input if isinstance(request.input, list) else [request.input]
    if not given or len(given) > _MOST_INPUTS:
        raise QueryError(f"give 1 to {_MOST_INPUTS} inputs")
    return [_joined(_parts(item)) for item in given]


def _parts(item: Input) -> list[TextPart | ImagePart]:
    if isinstance(item, str):
        return [TextPart(type="text", text=item)]
    if isinstance(item, Parts):
        return [TextPart(type="text", text=item.content)] if isinstance(item.content, str) else list(item.content)
    return [item]


def _joined(parts: Sequence[TextPart | ImagePart]) -> tuple[str, str]:
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    pictures = [part.image_url if isinstance(part.image_url, str) else part.image_url.url for part in parts if isinstance(part, ImagePart)]
    if len(pictures) > 1:
        raise QueryError("one picture makes one vector: send several pictures as several inputs")
    text = "\n".join(texts).strip()
    if not text and not pictures:
        raise QueryError("an input is empty: give some words, a picture, or both")
    return text, pictures[0] if pictures else ""


def _embed(library: Library, inputs: Sequence[tuple[str, str]], as_query: bool) -> Vectors:
    shots = [library.read_picture(decode_picture(picture)) if picture else None for _, picture in inputs]
    if as_query:
        return library.embedder.encode_query([Query(text, shot) for (text, _), shot in zip(inputs, shots, strict=True)])
    if any(text and shot for (text, _), shot in zip(inputs, shots, strict=True)):
        raise QueryError("a document is a text or a picture; text and picture together are a query (input_type: query)")
    return embed(library.embedder, [shot or text for (text, _), shot in zip(inputs, shots, strict=True)])


def _rerank(library: Library, asked: RerankQuery, items: Sequence[str | TextDocument | ImageDocument | Region]) -> list[float]:
    picture = library.read_picture(decode_picture(asked.image)) if asked.image else None
    if not asked.text.strip() and picture is None:
        raise QueryError("the query is empty: give some words, a picture, or both")
    return weigh(library.embedder, Query(asked.text.strip(), picture), [_document(library, item) for item in items])


def _document(library: Library, item: str | TextDocument | ImageDocument | Region) -> Screenshot | str:
    if isinstance(item, Region):
        return library.page_as_picture(Like(uri=item.uri, page=item.page, box=item.box))
    if isinstance(item, ImageDocument):
        return library.read_picture(decode_picture(item.image))
    return item if isinstance(item, str) else item.text


def _written(vector: Vectors, form: str) -> list[float] | str:
    if form == "base64":
        return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()
    return [float(value) for value in vector]
