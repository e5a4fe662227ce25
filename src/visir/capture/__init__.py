"""Anything into screenshots, page by page."""
