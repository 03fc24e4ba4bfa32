"""Speech models: variational autoencoders and their training losses."""
