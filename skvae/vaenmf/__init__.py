"""Enhancers that combine a speech model, a noise model and an inference."""
