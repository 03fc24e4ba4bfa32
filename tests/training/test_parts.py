"""Parts of estimators: fitted from a seed, frozen ones untouched, one STFT for all."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.training import made
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skvae import STFT, LogMMSE, SpeechVAE
from skvae.datasets import make_speech
from skvae.training.parts import Data, agreed_stft, fitted_part

SMALL = STFT(n_fft=256)


@pytest.fixture(scope="module")
def clean():
    return SMALL.fit_transform([make_speech(4000, random_state=k) for k in range(3)])


def make(**parameters):
    return made(SpeechVAE, n_latent=2, hidden_layer_sizes=8, max_iter=1, **parameters)


def fit(model, clean, noisy=None, seed=0):
    rng = np.random.default_rng(seed)
    return fitted_part("vae", model, Data(noisy, clean), device="cpu", rng=rng)


def test_a_seed_comes_from_the_generator_unless_the_model_has_one(clean):
    one, other, third = (fit(make(), clean, seed=seed) for seed in (0, 0, 1))
    assert one.seed_ == other.seed_ != third.seed_
    one, other = (fit(make(random_state=4), clean, seed=seed) for seed in (0, 1))
    assert one.seed_ == other.seed_


def test_what_uses_no_device_is_fitted_too(clean):
    assert fit(LogMMSE(), clean).stft_.framing() == SMALL.framing()


def test_noisy_speech_is_passed_on(clean):
    class Watched(SpeechVAE):
        def fit(self, X, y=None):
            self.seen_ = X, y
            return super().fit(X, y)

    noisy = [s.replace(2 * s.data) for s in clean]
    model = made(Watched, n_latent=2, hidden_layer_sizes=8, max_iter=1)
    assert fit(model, clean, noisy).seen_ == (noisy, clean)
    assert fit(model, clean).seen_ == (clean, None)


def test_a_frozen_model_is_not_touched(clean):
    model = make(random_state=0).fit(clean)
    state, frozen = model.state_, FrozenEstimator(model)
    assert fit(frozen, clean[:1]) is frozen
    assert model.state_ is state


def test_an_estimator_uses_the_analysis_of_its_frozen_model(clean):
    frozen = FrozenEstimator(make(random_state=0).fit(clean))
    other = STFT(n_fft=512)
    found = agreed_stft("vae", frozen, other, is_default=True)
    assert found.framing() == SMALL.framing()
    assert found is not frozen.stft_
    assert agreed_stft("vae", frozen, SMALL, is_default=False) is SMALL
    with pytest.raises(ValueError, match="`vae` was fitted with STFT"):
        agreed_stft("vae", frozen, other, is_default=False)
    slower = STFT(n_fft=256, sample_rate=8000)
    with pytest.raises(ValueError, match="which differs from STFT"):
        agreed_stft("vae", frozen, slower, is_default=False)
    with pytest.raises(NotFittedError):
        agreed_stft("vae", FrozenEstimator(make()), other, is_default=True)
    for model in (None, make()):
        assert agreed_stft("vae", model, other, is_default=True) is other
