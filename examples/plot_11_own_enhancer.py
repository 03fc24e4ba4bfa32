"""
Write your own enhancer in thirty lines
=======================================

A method is an idea of what is speech in a power spectrogram. Everything else, lists and
arrays and spectrograms, pairs, seeds, long recordings, jobs and scores, comes from
``BaseEnhancer``. This page has an idea, writes it down, and lets the checks of the
package look at it.
"""

# %%
# The idea
# --------
#
# Speech pauses. If one sorts what a frequency bin has heard during a few seconds, the
# quieter part of it is noise alone. So a low quantile of the power over time, times a
# factor, is an estimate of the noise ("minimum statistics" is a relative), and what is
# far above it is speech.

import numpy as np
from sklearn.model_selection import GridSearchCV

from skvae import BaseEnhancer, LogMMSE, MaskEstimate
from skvae.datasets import make_dataset
from skvae.evaluation.estimator_checks import check_enhancer
from skvae.plot import EnhancementDisplay, EvaluationDisplay


class QuantileFilter(BaseEnhancer):
    """Wiener filter on noise that is a quantile of the power of each bin."""

    _block_overlap = 1.0  # seconds: the next block is another estimate, faded in

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

    def _check_parameters(self):
        if not 0 < self.quantile < 1:
            raise ValueError(f"`quantile` must be in (0, 1), got {self.quantile!r}.")

    def _estimate_mask(self, V, rng, state):
        noise = self.factor * np.quantile(V, self.quantile, axis=0)  # (F,)
        speech = np.maximum(V - noise, 0)  # (N, F)
        return MaskEstimate(speech / np.maximum(V, np.finfo(V.dtype).tiny))


# %%
# The constructor only stores, as scikit-learn demands; the six parameters below
# ``stft`` are the ones that every enhancer has. ``_estimate_mask`` gets the power of a
# block of frames, frames first, and returns a mask of the same shape. That is all:

noisy, clean = make_dataset(12, duration=(2.5, 3.5), snr=0, random_state=0)
enhancer = QuantileFilter().fit(noisy)
display = EnhancementDisplay.from_estimator(enhancer, noisy[8])

# %%
# Is it an enhancer?
# ------------------
#
# ``check_enhancer`` tries what others will try: silence, clicks, single samples, 16-bit
# integers, any order and number of jobs, recordings in blocks. It says nothing if all
# is well, and else what is not.

check_enhancer(QuantileFilter())
print("passed")

# %%
# Make it better
# --------------
#
# Since it is a scikit-learn estimator, all of scikit-learn works with it. What the idea
# left open can be searched:

grid = {"quantile": [0.1, 0.3, 0.5], "factor": [1.0, 3.0, 10.0]}
search = GridSearchCV(QuantileFilter(), grid, cv=3, error_score="raise")
search.fit(noisy, clean)
print(search.best_params_)

# %%
# And compared with others, on utterances that the search did not see:

test_noisy, test_clean = make_dataset(12, (2.5, 3.5), snr=0, random_state=1)
methods = {
    "noisy": None,
    "QuantileFilter": enhancer,
    "... searched": search,
    "LogMMSE": LogMMSE().fit(noisy),
}
scores = EvaluationDisplay.from_estimators(
    methods, test_noisy, test_clean, kind="difference"
)

# %%
# The search has gained some decibels, and on these noises the thirty lines are level
# with log-MMSE. At a factor of ten, though, only peaks are left of the noise: SI-SDR
# does not mind, but ears do (see the page on musical noise).
#
# Where to go from here: a method that learns writes ``_fit(noisy, clean, rng)`` as
# well; one that iterates returns its ``history``, one with a posterior its
# ``mask_std``; one that runs through the frames in order hands on its ``state``, and is
# then the same in blocks of any length. ``CONTRIBUTING.rst`` says what else is needed
# to bring it into the package.
