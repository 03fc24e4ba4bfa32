"""Validation, seeds, progress and files: what every layer above may use."""
