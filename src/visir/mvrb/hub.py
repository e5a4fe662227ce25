"""Benchmarks and models by their names on a hub (huggingface.co, or the one that ``HF_ENDPOINT`` names)."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from visir.errors import BenchmarkError

OFFICIAL = "marsh123/MVRB"
"""The paper's benchmark on the hub."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
_SECONDS = 10.0


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


@cache
def reach_hub() -> bool:
    """Say whether the hub answers; where it does not, its libraries are told, so that they look only at what they have.

    Without this they try again for minutes before they give up.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception:  # names that do not resolve, refused, too slow, no certificate: all the same here
        constants.HF_HUB_OFFLINE = True
        return False
    return True
