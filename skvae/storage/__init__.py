"""Model files, recipes and pretrained models."""
