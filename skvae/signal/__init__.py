"""Framing, spectra and waveforms: what every method reads and writes."""
