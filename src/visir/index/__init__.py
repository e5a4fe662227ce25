"""The index: what is kept of every page, and how it is searched."""

from visir.index.index import Index, Status
from visir.index.refresh import Listeners, Summary
from visir.index.search import SearchOptions

__all__ = ["Index", "Listeners", "SearchOptions", "Status", "Summary"]
