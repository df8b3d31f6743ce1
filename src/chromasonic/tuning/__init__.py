"""Trials of a search: objective, driver, executors, storage, records."""
