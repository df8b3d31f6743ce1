"""Executors: this process, child processes, a Ray cluster."""
