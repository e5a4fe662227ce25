"""MVRB: measure how well a model finds screenshots (the paper's benchmark, or any set in its layout)."""
