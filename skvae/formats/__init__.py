"""Audio files as bytes: what libsndfile does not tell and does not keep."""
