"""Storages of studies: opening, locking, retrying."""
