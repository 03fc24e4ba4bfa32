"""Enhancers that factorize the spectrogram of the mixture."""
