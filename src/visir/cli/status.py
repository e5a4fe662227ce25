"""`visir status`."""

from dataclasses import asdict

from visir.cli.common import IndexOption, JsonOption, counted, open_index, print_json


def status(index: IndexOption = None, as_json: JsonOption = False) -> None:
    """Say what the index holds and what failed."""
    from visir.index.paths import printable

    with open_index(index) as opened:
        found = opened.status()
    if as_json:
        print_json(asdict(found))
        return
    print(f"index      {found.folder} ({found.bytes / 1e6:,.1f} MB)")
    print(f"model      {found.model}")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.by_type.items())
    print(f"holds      {counted(found.pages, 'page')} of {counted(found.documents, 'document')}{f' ({kinds})' if kinds else ''}")
    for root in found.roots:
        print(f"from       {printable(root)}")
    if found.being_written:
        print("indexing   is going on now")
    for document in found.failures:
        print(f"{document.state:<10} {printable(document.path)}: {printable(document.reason)}")
