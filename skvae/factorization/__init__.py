"""IS-NMF and robust PCA."""
