"""RPCA as an estimator; test_rpca_splitting.py tests its equations."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from skvae import RPCA
from skvae.datasets import make_dataset, make_noise
from skvae.metrics import mean_si_sdr


@pytest.fixture(scope="module")
def pairs():
    noisy, clean = make_dataset(8, duration=(1.0, 2.0), snr=0.0, random_state=3)
    return noisy, clean


def test_rpca_gains_two_decibels(pairs):
    noisy, clean = (part[:4] for part in pairs)
    assert RPCA().fit(noisy).score(noisy, clean) > mean_si_sdr(clean, noisy) + 2


def test_a_noise_recording_changes_rpca_and_stays_out_of_the_result(pairs):
    noisy, _ = pairs
    profile = make_noise(16000, "machine", random_state=0)
    plain = RPCA().fit(noisy).separate(noisy[:1])[0]
    told = RPCA(noise_profile=profile).fit(noisy).separate(noisy[:1])[0]
    assert plain.mask.shape == told.mask.shape
    assert np.abs(plain.mask - told.mask).max() > 0.05


def test_binary_masks_are_binary(pairs):
    noisy, _ = pairs
    [separation] = RPCA(mask="binary").fit(noisy).separate(noisy[:1])
    assert set(np.unique(separation.mask)) == {0.0, 1.0}


def test_more_gain_suppresses_more(pairs):
    noisy, _ = pairs
    masks = [
        RPCA(gain=gain).fit(noisy).separate(noisy[:1])[0].mask.mean()
        for gain in (0.5, 1, 2)
    ]
    assert masks[0] > masks[1] > masks[2]


def test_blocks_come_close_to_the_whole(pairs):
    noisy = [np.concatenate(pairs[0][:5])]
    rpca = RPCA().fit(noisy)
    whole = rpca.transform(noisy)
    in_blocks = rpca.set_params(block_seconds=2.0).transform(noisy)
    assert mean_si_sdr(whole, in_blocks) > 5


def test_iterations_end_at_their_limit(pairs):
    [separation] = RPCA(tol=0, max_iter=3).fit(pairs[0]).separate(pairs[0][:1])
    assert separation.n_iter == 3


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (RPCA("hard"), "`mask` must be one of 'binary', 'soft'"),
        (RPCA(gain=-1), "`gain`"),
        (RPCA(sparsity=0), "`sparsity`"),
        (RPCA(tol=np.nan), "`tol`"),
        (RPCA(max_iter=0), "`max_iter` must be an integer"),
    ],
)
def test_parameters_out_of_range_are_named(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit([np.ones(100)])


def test_silence_can_be_enhanced():
    silence = [np.zeros(3000, np.float32)]
    [enhanced] = RPCA().fit(silence).transform(silence)
    assert not enhanced.any()


def test_it_works_without_torch():
    code = (
        "import numpy as np, sys\n"
        "from skvae import RPCA\n"
        "x = [np.random.default_rng(0).standard_normal(3000)]\n"
        "RPCA().fit(x).transform(x)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
