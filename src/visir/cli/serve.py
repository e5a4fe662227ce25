"""`visir serve`."""

from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import IndexOption, ModelOption, index_folder, missing_extra, say, share_cores

_PORT = 7333


def serve(
    sources: Annotated[list[str] | None, typer.Argument(metavar="PATH…", help="Files, folders, http(s) addresses to index first.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others than this machine's need $VISIR_TOKEN.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 7333, or any free one if that is taken, if left out.")
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Let added web addresses lead to this machine and the local network.")
    ] = False,
    index: IndexOption = None,
    model: ModelOption = "",
) -> None:
    """Serve the index as a web page and an API until Ctrl-C.

    With $VISIR_TOKEN set, callers must show that token.
    """
    share_cores()
    from visir.index import Index

    try:
        from visir.serve.app import create_app
        from visir.serve.options import ServeOptions
        from visir.serve.run import address_of, listen
        from visir.serve.run import serve as run
    except ImportError as error:
        raise missing_extra("serve", error) from error

    options = ServeOptions.from_environment(host=host, port=_PORT if port is None else port, private_hosts=allow_private)
    place: Path = index_folder(index)
    roots = [Index.root_of(source) for source in sources or []]  # before an index is made for nothing
    with listen(options, any_port=port is None) as sock, Index.open(place, model) as opened:
        app = create_app(opened, options, roots)

        def ready() -> None:
            print(address_of(sock), flush=True)
            empty = not (roots or opened.status().documents)
            say(f"serves {place}{', which is empty: drop documents onto the page' if empty else ''}; Ctrl-C ends it")

        run(app, sock, ready)
