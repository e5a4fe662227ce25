"""The index: what is kept of every page, and how it is searched."""
