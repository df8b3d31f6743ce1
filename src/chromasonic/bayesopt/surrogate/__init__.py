"""Surrogates: observations of a search, and the Gaussian processes fitted to them."""
