"""Validation, random numbers, progress and files, for all layers above."""
