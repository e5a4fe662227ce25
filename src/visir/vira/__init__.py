"""VIRA: training data out of documents, and pages rendered for reading practice."""
