from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from skvae.datasets import make_dataset
from skvae.metrics import mean_si_sdr
from skvae.pretrained import list_models, load_pretrained

SMALL = {"is-nmf": {"n_components": 8, "max_iter": 20, "n_adapt_iter": 20}}


@pytest.fixture(scope="module")
def pairs():
    return make_dataset(2, (1.0, 1.5), snr=0, random_state=0)


@pytest.mark.parametrize("name", [model.name for model in list_models()])
def test_every_model_is_fitted_and_makes_speech_cleaner(name, pairs):
    noisy, clean = pairs
    params = SMALL.get(name, {})
    enhancer = load_pretrained(name, clean=clean, **params)
    assert enhancer.get_params().items() >= params.items()
    enhanced = enhancer.transform(noisy)
    assert mean_si_sdr(clean, enhanced) > mean_si_sdr(clean, noisy)


def test_a_model_that_learns_warns_of_synthetic_speech_and_is_reproducible():
    with pytest.warns(UserWarning, match="fitted on synthetic speech"):
        enhancer = load_pretrained("is-nmf", n_components=2, max_iter=1)
    with pytest.warns(UserWarning, match="fitted on synthetic speech"):
        again = load_pretrained("is-nmf", n_components=2, max_iter=1)
    np.testing.assert_array_equal(enhancer.components_, again.components_)


def test_unknown_names_are_told_the_known_ones():
    with pytest.raises(ValueError, match="must be one of 'spectral-subtraction'"):
        load_pretrained("wienr")


def test_models_without_training_do_not_load_torch():
    # pandas is not asked for: scikit-learn itself imports it where it is installed.
    names = [model.name for model in list_models() if not model.learns]
    code = (
        "import sys, numpy, skvae.pretrained as p\n"
        f"for name in {names}: p.load_pretrained(name).transform([numpy.ones(2000)])\n"
        "print(sorted({'torch', 'librosa', 'matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
