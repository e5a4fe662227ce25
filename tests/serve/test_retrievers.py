"""The retrievers, in the frameworks that they are for."""

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine

from visir.serve.langchain import VisirRetriever as LangChainRetriever
from visir.serve.llama_index import VisirRetriever as LlamaIndexRetriever


@pytest.fixture
def index(library, open_index):
    index = open_index()
    index.add(library)
    return index


@pytest.fixture(params=["index", "server"])
def source(request):
    return request.getfixturevalue({"index": "index", "server": "client"}[request.param])


def test_langchain_gets_pages_and_chains_them(source):
    retriever = LangChainRetriever(source=source, count=2)
    best, _ = retriever.invoke("feed the rye starter")
    assert best.metadata["source"].endswith("bread.pdf")
    assert (best.metadata["page"], len(best.metadata["boxes"])) == (1, 3)
    assert best.page_content.endswith("Feed the starter with rye flour every morning.")
    prompt = ChatPromptTemplate.from_template("{pages}\n\n{question}")
    joined = retriever | RunnableLambda(lambda pages: "\n".join(page.page_content for page in pages))
    chain = (
        {"pages": joined, "question": RunnablePassthrough()} | prompt | RunnableLambda(lambda value: value.to_string()) | StrOutputParser()
    )
    assert "rye flour" in chain.invoke("feed the rye starter")


def test_llama_index_gets_pages_and_answers_from_them(source):
    retriever = LlamaIndexRetriever(source, count=2, where="page = 1")
    best, second = retriever.retrieve("feed the rye starter")
    assert best.node.metadata["source"].endswith("bread.pdf")
    assert 1 >= best.score > second.score >= 0
    assert second.node.metadata["page"] == 1
    told = RetrieverQueryEngine.from_args(retriever, llm=MockLLM()).query("feed the rye starter")
    assert "rye flour" in str(told)
    assert told.source_nodes[0].node.metadata["title"]
