"""UniSE: embedding models for text, screenshots, and both together."""
