"""`visir mcp`."""

from typing import Annotated

import typer

from visir.cli.common import IndexOption, ModelOption, index_folder, missing_extra, share_cores


def mcp(
    sources: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Files, folders, http(s) addresses to index first.")] = None,
    index: IndexOption = None,
    model: ModelOption = "",
) -> None:
    """Offer search, look, read and add to an agent, on standard input and output.

    A program that speaks the Model Context Protocol starts this by itself. Over HTTP, `visir serve` offers the same at /mcp.
    """
    share_cores()
    from visir.index import Index

    try:
        from visir.serve.mcp import run_stdio
        from visir.serve.options import ServeOptions
    except ImportError as error:
        raise missing_extra("mcp", error) from error

    with Index.open(index_folder(index), model) as opened:
        run_stdio(opened, ServeOptions(), [opened.root_of(source) for source in sources or []])
