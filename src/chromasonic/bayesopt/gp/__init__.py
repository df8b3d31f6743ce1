"""Gaussian process regression: kernels, hyperparameters, posterior."""
