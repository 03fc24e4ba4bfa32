"""Spectral subtraction, the Wiener filter and log-MMSE."""
