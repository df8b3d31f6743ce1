"""Trials: what is tuned, who drives it, where it runs and what is remembered."""
