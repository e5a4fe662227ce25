"""Training: pairs and practice pages become a UniSE model."""
