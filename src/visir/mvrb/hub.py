"""Benchmarks and models by their names on a hub (huggingface.co, or the one that ``HF_ENDPOINT`` names)."""

import re
from collections.abc import Callable
from pathlib import Path

from visir.errors import BenchmarkError
from visir.unise.hub import reach_hub

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def find_benchmark(place: str, tell: Callable[[str], None] = lambda line: None) -> Path:
    """Return the folder of a benchmark, fetched from the hub if it is a name there.

    Args:
        place: a folder; else ``owner/name`` or ``owner/name@revision`` of a data set on the hub.
        tell: called with a line before anything is fetched.

    Raises:
        BenchmarkError: there is no such folder, no such data set, or the hub cannot be reached.
    """
    folder = Path(place)
    if folder.exists() or not _NAME.fullmatch(place):
        return folder
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
    except ImportError as error:
        raise BenchmarkError(f"there is no folder {place}; to fetch it from a hub: pip install 'visir[eval]' ({error})") from error
    name, _, revision = place.partition("@")
    reached = reach_hub()
    if reached:
        tell(f"there is no folder {place}: fetching the data set of that name from {constants.ENDPOINT}")
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision or None, local_files_only=not reached))
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise BenchmarkError(f"there is no folder {place}, and no data set of that name on {constants.ENDPOINT}") from error
    except LocalEntryNotFoundError as error:
        raise BenchmarkError(
            f"there is no folder {place}, and {constants.ENDPOINT} cannot be reached to fetch a data set of that name: "
            "fetch it where there is a network and name its folder"
        ) from error
    except Exception as error:  # whatever the network's libraries raise when a transfer breaks
        reason = " ".join(str(error).split())[:200]
        raise BenchmarkError(f"{place} was not fetched whole: {reason}; run it again, what is there stays") from error
