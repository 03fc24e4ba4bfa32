"""Modes of NumPy and PyTorch that a caller has set change no result."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from helpers.instances import public_estimators, small

from skvae import BaseEnhancer, WienerFilter
from skvae.datasets import make_dataset
from skvae.estimator import SpeechEstimator

NOISY, CLEAN = make_dataset(2, (0.3, 0.4), 0.0, random_state=0)


def modes():
    """All of them at once."""
    stack = ExitStack()
    stack.enter_context(np.errstate(all="raise"))
    stack.enter_context(torch.inference_mode())
    stack.enter_context(torch.device("meta"))
    stack.enter_context(torch.autocast("cpu", torch.bfloat16))
    return stack


def results(cls):
    """What all methods of an estimator return, as arrays."""
    estimator = small(cls).set_params(random_state=0).fit(NOISY, CLEAN)
    yield from estimator.transform(NOISY)
    yield estimator.score(NOISY, CLEAN)
    if hasattr(estimator, "sample"):
        latent = np.zeros((3, estimator.config_.n_latent))
        yield from estimator.inverse_transform([latent])
        yield estimator.sample(random_state=0).data
    if hasattr(estimator, "score_samples"):
        yield from estimator.score_samples(CLEAN)
    if isinstance(estimator, BaseEnhancer):
        yield estimator.separate(NOISY)[1].mask
        [spectrogram] = estimator.stft_.transform(NOISY[:1])
        yield estimator.estimate_mask(np.abs(spectrogram.frames()) ** 2).mask
        yield from estimator.enhance_blocks(NOISY[:1])


@pytest.mark.parametrize(
    "cls", [cls for cls in public_estimators() if issubclass(cls, SpeechEstimator)]
)
def test_results_do_not_depend_on_the_modes_of_the_caller(cls):
    wanted = [*results(cls)]
    with modes():
        found = [*results(cls)]
    assert len(found) == len(wanted) > 2
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_modes_of_the_caller_are_back_between_two_pieces():
    enhancer = WienerFilter(block_seconds=0.1).fit(NOISY)
    with modes():
        n_pieces = 0
        for _ in enhancer.enhance_blocks(NOISY[:1]):
            n_pieces += 1
            assert np.geterr() == dict.fromkeys(np.geterr(), "raise")
            assert torch.is_inference_mode_enabled()
            assert torch.get_default_device().type == "meta"
            assert torch.is_autocast_enabled("cpu")
        assert n_pieces > 2


def test_an_error_brings_the_modes_of_the_caller_back():
    enhancer = WienerFilter().fit(NOISY)
    with modes():
        with pytest.raises(ValueError):
            enhancer.transform([np.array([np.nan])])
        assert np.geterr()["under"] == "raise"
        assert torch.is_inference_mode_enabled()
        assert torch.get_default_device().type == "meta"
