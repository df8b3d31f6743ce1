"""Melody models: data, architectures, training, and the search of their hyperparameters."""
