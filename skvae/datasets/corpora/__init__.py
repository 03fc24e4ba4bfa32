"""Loaders of corpora."""
