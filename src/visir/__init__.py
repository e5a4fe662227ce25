"""Search everything by how it looks."""

from visir.screenshot import Hit, Query, Screenshot, Word

__all__ = ["Hit", "Query", "Screenshot", "Word"]
