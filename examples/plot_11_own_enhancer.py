"""
A custom enhancer in thirty lines
=================================

A method estimates a mask from a power spectrogram. ``BaseEnhancer`` provides everything
else: lists, arrays and spectrograms, pairs, seeds, long recordings, jobs and scores.
This example implements a simple method and tests it with the checks of the package.
"""

# %%
# Method
# ------
#
# Speech contains pauses, so the lowest power values of a frequency bin within a few
# seconds are noise alone. Therefore a low quantile of the power over time, multiplied
# by a factor, is an estimate of the noise. The method of minimum statistics is similar.
# Power far above this estimate is speech.

import numpy as np
from sklearn.model_selection import GridSearchCV

from skvae import BaseEnhancer, LogMMSE, MaskEstimate
from skvae.datasets import make_dataset
from skvae.evaluation.estimator_checks import check_enhancer
from skvae.plot import EnhancementDisplay, EvaluationDisplay
from skvae.utils.parameters import Number


class QuantileFilter(BaseEnhancer):
    """Wiener filter whose noise estimate is a quantile of the power of each bin."""

    _block_overlap = 1.0  # seconds; masks of neighboring blocks are cross-faded
    _parameter_ranges = {
        "quantile": Number(low=0, high=1, open_low=True, open_high=True),
        "factor": Number(low=0),
    }

    def __init__(
        self,
        quantile=0.3,
        factor=3.0,
        *,
        stft=None,
        attenuation_limit=None,
        block_seconds=10.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.quantile = quantile
        self.factor = factor
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _estimate_mask(self, V, rng, state):
        noise = self.factor * np.quantile(V, self.quantile, axis=0)  # (F,)
        speech = np.maximum(V - noise, 0)  # (N, F)
        return MaskEstimate(speech / np.maximum(V, np.finfo(V.dtype).tiny))


# %%
# The constructor only stores its parameters, as scikit-learn requires; ``fit`` and
# ``transform`` check their ranges. Every enhancer has the six parameters from ``stft``
# on. ``_estimate_mask`` gets the power of a block of frames, with the frames first, and
# returns a mask of the same shape.

noisy, clean = make_dataset(12, duration=(2.5, 3.5), snr=0, random_state=0)
enhancer = QuantileFilter().fit(noisy)
display = EnhancementDisplay.from_estimator(enhancer, noisy[8])

# %%
# Checks
# ------
#
# ``check_enhancer`` tests silence, clicks, single samples, 16-bit integers, any order
# of utterances, any number of jobs, and recordings in blocks. It raises an error if a
# check fails.

check_enhancer(QuantileFilter())
print("passed")

# %%
# Parameter search
# ----------------
#
# The enhancer is a scikit-learn estimator, so ``GridSearchCV`` can find its parameters.

grid = {"quantile": [0.1, 0.3, 0.5], "factor": [1.0, 3.0, 10.0]}
search = GridSearchCV(QuantileFilter(), grid, cv=3, error_score="raise")
search.fit(noisy, clean)
print(search.best_params_)

# %%
# The plot compares it with other methods, on utterances that the search did not use.

test_noisy, test_clean = make_dataset(12, (2.5, 3.5), snr=0, random_state=1)
methods = {
    "noisy": None,
    "QuantileFilter": enhancer,
    "after the search": search,
    "LogMMSE": LogMMSE().fit(noisy),
}
scores = EvaluationDisplay.from_estimators(
    methods, test_noisy, test_clean, kind="difference"
)

# %%
# The search improves the result by some decibels. On these noises, the method is about
# as good as log-MMSE. However, with a factor of ten the residual noise consists of
# isolated peaks, which SI-SDR does not penalize (see the example on musical noise).
#
# Further options
# ---------------
#
# * A method that learns implements ``_fit(noisy, clean, rng)``.
# * An iterative method can return its ``history``.
# * A method with a posterior can return its ``mask_std``.
# * A method that processes the frames in order can return its ``state``. Then the
#   result does not depend on the length of the blocks.
#
# ``CONTRIBUTING.rst`` describes how to contribute a method to the package.
