"""Ranges of parameters: they end somewhere, and methods work at both of their ends."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from helpers.instances import EPOCHS, public_enhancers, public_estimators, small
from sklearn.base import clone

from skvae import MCEM, MCMC, VEM, GradientVEM, NMFNoise, VAENMFEnhancer
from skvae.datasets import make_dataset
from skvae.storage.estimators import check_parameters
from skvae.utils.parameters import Number

[MIXTURE], [SPEECH] = make_dataset(1, (0.3, 0.4), 0.0, random_state=0)
NOISY = [
    MIXTURE,
    1e9 * MIXTURE,
    (1e-18 * MIXTURE).astype(np.float32),
    np.zeros(3000),
]

INFERENCES = [
    VEM(2, n_samples=2),
    GradientVEM(2, n_samples=2),
    MCEM(2, n_burn_in=1, n_samples=2),
    MCMC(2, 2, n_latent_steps=1),
]


def numbers(estimator):
    """Names and ranges of the numbers among the parameters of an estimator."""
    ranges = {}
    for cls in reversed(type(estimator).__mro__):
        ranges.update(vars(cls).get("_parameter_ranges", {}))
    return {name: kind for name, kind in ranges.items() if isinstance(kind, Number)}


def with_parts(estimator, prefix=""):
    """An estimator and the estimators among its parameters, with their names."""
    yield prefix, estimator
    for name, value in estimator.get_params(deep=False).items():
        part = getattr(estimator, "_make_part", lambda _, value: value)(name, value)
        if hasattr(part, "get_params"):
            yield from with_parts(part, f"{prefix}{name}__")


EVERY = [
    *(small(cls) for cls in public_estimators()),
    *INFERENCES,
    NMFNoise(),
    EPOCHS,
]


@pytest.mark.parametrize("estimator", EVERY, ids=lambda e: type(e).__name__)
def test_ranges_end(estimator):
    for name, allowed in numbers(estimator).items():
        assert np.isfinite([allowed.low, allowed.high]).all(), name


ENHANCERS = [
    *(small(cls) for cls in public_enhancers()),
    *(small(VAENMFEnhancer).set_params(inference=one) for one in INFERENCES),
]


@pytest.mark.parametrize(
    "enhancer",
    ENHANCERS,
    ids=[f"{type(e).__name__}-{k}" for k, e in enumerate(ENHANCERS)],
)
def test_numbers_at_the_ends_of_their_ranges_give_sound(enhancer):
    enhancer = clone(enhancer).set_params(random_state=0).fit([SPEECH])
    for prefix, part in with_parts(enhancer):
        if prefix.startswith(("vae__", "mixer__", "training__", "stft__")):
            continue  # they are read by `fit`
        for name, allowed in numbers(part).items():
            if allowed.integer:
                continue  # many iterations take long
            low = 1e-300 if allowed.open_low else allowed.low
            high = allowed.high * (1 - 1e-9 * allowed.open_high)
            for value in (low, high):
                changed = clone_of(enhancer).set_params(**{prefix + name: value})
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    enhanced = changed.transform(NOISY)
                for x, y in zip(NOISY, enhanced, strict=True):
                    assert np.isfinite(y).all(), (name, value)
                    assert np.abs(y).max() <= 1.5 * np.abs(x).max(), (name, value)


def clone_of(fitted):
    """A copy with what was learned."""
    copy = clone(fitted)
    for name, value in vars(fitted).items():
        if name not in fitted.get_params(deep=False):
            setattr(copy, name, value)
    return copy


TOO_MUCH = {
    "max_iter": 10**9,
    "n_iter_no_change": 10**9,
    "n_burn_in": 10**7,
    "n_samples": 10**7,
    "n_draws": 10**7,
    "n_latent_steps": 10**7,
    "n_components": 2**62,
    "n_noise_components": 2**62,
    "n_latent": 2**62,
    "n_mels": 2**62,
    "n_adapt_iter": 10**9,
    "hidden_layer_sizes": (2**62,),
    "learning_rate": 1e308,
    "block_seconds": 1e308,
    "attenuation_limit": 1e308,
    "smoothing": 2**62 + 1,
    "mask_smoothing": 2**62 + 1,
    "context": 2**62 + 1,
}


@pytest.mark.parametrize("estimator", EVERY, ids=lambda e: type(e).__name__)
def test_what_would_never_end_or_takes_all_memory_is_refused(estimator):
    for name in TOO_MUCH.keys() & estimator.get_params(deep=False).keys():
        changed = clone(estimator).set_params(**{name: TOO_MUCH[name]})
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            check_parameters(changed)
