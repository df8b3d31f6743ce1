"""Trained models: scores, folders, baselines."""
