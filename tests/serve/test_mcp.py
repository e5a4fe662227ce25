"""The tools for agents, through the SDK's own client: on standard input and output, and over HTTP."""

import base64
import io
import os
import sys

import anyio
import httpx2
import pytest
from documents import write_pdf
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from PIL import Image
from servers import running


async def look_things_up(agent, folder):
    """What a coding agent does: find the page, look at it, read it."""
    tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
    assert set(tools) == {"search", "look", "read", "add"}
    assert all(tool.description for tool in tools.values())
    found = await agent.call_tool("search", {"query": "feed the rye starter", "count": 2})
    best = found.structured_content["pages"][0]
    assert (best["document"], best["page"]) == (str(folder / "bread.pdf"), 1)
    shown = await agent.call_tool("look", {"document": best["document"], "page": 1, "part": [0, 0, 1, 0.5]})
    caption, picture = shown.content
    assert "page 1 of 2" in caption.text
    image = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    assert image.width > image.height
    words = await agent.call_tool("read", {"document": best["document"], "page": 1, "last_page": 9})
    assert "Feed the starter with rye flour" in words.content[0].text
    assert "page 2 of 2" in words.content[0].text
    similar = await agent.call_tool("search", {"like_document": best["document"], "query": "steam crust"})
    assert similar.structured_content["pages"][0]["page"] == 2
    wrong = await agent.call_tool("read", {"document": "nothing.pdf"})
    assert wrong.is_error
    assert "is not in the index" in wrong.content[0].text


def test_on_standard_input_and_output(library, tmp_path):
    more = write_pdf(tmp_path / "more" / "walrus.pdf", ["The walrus on the beach"])

    async def main():
        command = ["-m", "visir.cli.main", "mcp", "--index", str(tmp_path / "index")]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(stdio_client(server)) as agent:
            steps = []

            async def progress(done, total, message):
                steps.append(done)

            told = await agent.call_tool("add", {"sources": [str(library), str(more)]}, progress_callback=progress)
            assert "indexed 4, unchanged 0, failed 0; 6 pages" in told.content[0].text
            assert steps[-1] == 4
            await look_things_up(agent, library)
            assert "does not exist" in (await agent.call_tool("add", {"sources": ["/nowhere"]})).content[0].text

    anyio.run(main)


def test_an_agent_that_searches_while_indexing_runs_is_told(library, tmp_path):
    async def main():
        command = ["-m", "visir.cli.main", "mcp", "--index", str(tmp_path / "index"), str(library)]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(stdio_client(server)) as agent:
            found = await agent.call_tool("search", {"query": "feed the rye starter"})
            assert "still being indexed" in found.structured_content["note"]
            with anyio.fail_after(60):
                while found.structured_content["note"]:
                    await anyio.sleep(0.2)
                    found = await agent.call_tool("search", {"query": "feed the rye starter"})
            assert found.structured_content["pages"][0]["document"] == str(library / "bread.pdf")

    anyio.run(main)


def test_over_http(server, shelf):
    async def main():
        async with Client(f"{server.address}mcp") as agent:
            await look_things_up(agent, shelf)

    anyio.run(main)


@pytest.mark.slow
def test_from_afar_the_token_is_needed_and_only_addresses_can_be_added(library, tmp_path):
    async def main(address, token):
        http = httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"})
        async with http, Client(streamable_http_client(f"{address}mcp", http_client=http)) as agent:
            return await agent.call_tool("add", {"sources": [str(library)]})

    with running(tmp_path / "index", token="correct horse battery") as server:
        assert "only those can be added from afar" in anyio.run(main, server.address, server.token).content[0].text
        assert httpx2.post(f"{server.address}mcp", json={}).status_code == 401
