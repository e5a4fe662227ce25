"""A retriever for LlamaIndex.

::

    from visir import Index
    from visir.serve.llama_index import VisirRetriever

    retriever = VisirRetriever(Index.open("my-index"), count=5)
    retriever.retrieve("chart of rainfall")
"""

from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from visir.index import Index
from visir.serve.client import Client
from visir.serve.retrieve import retrieve


class VisirRetriever(BaseRetriever):
    """Pages of an index, or of a server, as LlamaIndex's nodes; scores from 0 to 1.

    Args:
        source: an index or a server.
        count: pages at most.
        where: a filter, as in docs/search.md.
    """

    def __init__(self, source: Index | Client, count: int = 5, where: str = "", **choices: Any) -> None:
        self._source = source
        self._count = count
        self._where = where
        super().__init__(**choices)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        passages = retrieve(self._source, query_bundle.query_str, self._count, self._where)
        return [
            NodeWithScore(node=TextNode(text=passage.text, metadata=passage.metadata), score=passage.score / 100) for passage in passages
        ]
