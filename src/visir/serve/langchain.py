"""A retriever for LangChain.

::

    from visir import Index
    from visir.serve.langchain import VisirRetriever

    retriever = VisirRetriever(source=Index.open("my-index"), count=5)
    retriever.invoke("chart of rainfall")
"""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from visir.serve.retrieve import retrieve


class VisirRetriever(BaseRetriever):
    """Pages of an index, or of a server, as LangChain's documents.

    Args:
        source: a `visir.Index` or a `visir.serve.client.Client`.
        count: pages at most.
        where: a filter, as in docs/search.md.
    """

    source: Any
    count: int = 5
    where: str = ""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [
            Document(page_content=passage.text, metadata=passage.metadata)
            for passage in retrieve(self.source, query, self.count, self.where)
        ]
