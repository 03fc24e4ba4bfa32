"""Synthetic signals, mixtures and pairs."""
