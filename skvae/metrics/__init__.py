"""Metrics of enhanced speech, called as ``metric(clean, enhanced)``."""

from __future__ import annotations

from skvae.metrics.distortion import sdr, si_sdr
from skvae.metrics.intelligibility import estoi, stoi
from skvae.metrics.mean import mean_defined, mean_si_sdr
from skvae.metrics.perceptual import pesq
from skvae.metrics.registry import METRICS, Metric, get_metric

__all__ = [
    "si_sdr",
    "sdr",
    "pesq",
    "stoi",
    "estoi",
    "METRICS",
    "Metric",
    "get_metric",
    "mean_defined",
    "mean_si_sdr",
]
