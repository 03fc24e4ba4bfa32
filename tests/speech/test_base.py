"""Base of speech models; each of them has tests of its own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skvae import STFT, DenoisingVAE, NoiseAwareVAE, SpeechVAE
from skvae.signal.utterances import Kind
from skvae.speech.base import MixtureModel, SpeechModel, collect

SMALL = STFT(n_fft=256)


@pytest.mark.parametrize("cls", [SpeechVAE, DenoisingVAE, NoiseAwareVAE])
def test_models_of_all_kinds_have_one_face(cls):
    assert issubclass(cls, SpeechModel)
    assert issubclass(cls, MixtureModel) is (cls is not SpeechVAE)
    face = {"fit", "transform", "inverse_transform", "score", "sample", "networks"}
    assert all(callable(getattr(cls, name)) for name in face)
    with pytest.raises(NotFittedError):
        cls().transform([np.ones(1000)])
    with pytest.raises(NotFittedError):
        cls().networks()


def test_arrays_come_out_of_arrays_and_lists_out_of_lists():
    parts = [np.zeros(2), np.ones(2)]
    for kind in Kind:
        found = collect(parts, kind)
        is_array = kind in (Kind.ARRAY, Kind.SPECTROGRAM_ARRAY)
        assert isinstance(found, np.ndarray) is is_array
        np.testing.assert_array_equal(np.stack(list(found)), np.stack(parts))
