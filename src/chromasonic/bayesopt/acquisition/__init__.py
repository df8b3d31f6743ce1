"""Acquisition functions and their maximisation."""
