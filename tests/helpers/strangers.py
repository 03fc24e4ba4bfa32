"""Estimators that are not part of skvae, as its users write them."""

from __future__ import annotations

import numpy as np

from skvae import VEM, BaseEnhancer, MaskEstimate, NMFNoise, WienerFilter
from skvae.utils.learned import Array, Part, Scalar
from skvae.utils.parameters import Number


class Gate(BaseEnhancer):
    """Keep what is louder than a threshold; nothing is learned."""

    _parameter_ranges = {"threshold": Number(low=0)}

    def __init__(
        self,
        threshold=6.0,
        *,
        stft=None,
        attenuation_limit=None,
        block_seconds=60.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.threshold = threshold
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _estimate_mask(self, V, rng, state):
        gate = np.median(V, axis=0) * 10 ** (self.threshold / 10)
        return MaskEstimate((gate < V).astype(V.dtype))


class SpectrumGate(Gate):
    """A gate whose thresholds are learned from clean speech, in company of another."""

    _learned = {
        "spectrum_": Array("n_bins", low=0),
        "loudest_": Scalar(low=0),
        "other_": Part("separate", optional=True),
    }

    def __init__(
        self,
        threshold=6.0,
        other=None,
        *,
        stft=None,
        attenuation_limit=None,
        block_seconds=60.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        super().__init__(
            threshold,
            stft=stft,
            attenuation_limit=attenuation_limit,
            block_seconds=block_seconds,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.other = other

    def _fit(self, noisy, clean, rng):
        power = np.concatenate([np.abs(s.frames()) ** 2 for s in clean])
        self.spectrum_ = power.mean(axis=0)
        self.loudest_ = float(power.max())
        self.other_ = self.other

    def _estimate_mask(self, V, rng, state):
        return MaskEstimate(V / (V + self.spectrum_).clip(1e-12))


class WienerFilter(WienerFilter):
    """Has the name of a class of skvae."""


class Forgetful(Gate):
    """It sets what it does not declare."""

    def _fit(self, noisy, clean, rng):
        self.level_ = 1.0


class PatientVEM(VEM):
    """An inference."""


class QuietNoise(NMFNoise):
    """A noise model."""
