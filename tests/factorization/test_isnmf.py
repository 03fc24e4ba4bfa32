"""ISNMF as an estimator; test_nmf_updates.py tests its equations."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from sklearn.base import clone
from sklearn.callback import FitCallback

from skvae import ISNMF
from skvae.datasets import make_dataset, make_noise
from skvae.factorization import isnmf as isnmf_module
from skvae.metrics import mean_si_sdr


@pytest.fixture(scope="module")
def pairs():
    noisy, clean = make_dataset(8, duration=(1.0, 2.0), snr=0.0, random_state=3)
    return noisy, clean


@pytest.fixture(scope="module")
def isnmf(pairs):
    _, clean = pairs
    return ISNMF(8, max_iter=60, random_state=0).fit(clean[4:])


def test_isnmf_gains_three_decibels_on_utterances_it_has_not_seen(isnmf, pairs):
    noisy, clean = (part[:4] for part in pairs)
    assert isnmf.score(noisy, clean) > mean_si_sdr(clean, noisy) + 3


def test_isnmf_does_no_harm_to_a_narrow_band(isnmf, pairs):
    noisy, clean = (
        [soxr.resample(soxr.resample(x, 16000, 8000), 8000, 16000) for x in part[:4]]
        for part in pairs
    )
    assert isnmf.score(noisy, clean) > mean_si_sdr(clean, noisy)
    # A block of the full band starts from the state of a narrow one.
    narrow = np.concatenate([noisy[0], pairs[0][0]])
    blockwise = clone(isnmf).set_params(block_seconds=0.5, random_state=0)
    [separation] = blockwise.fit(pairs[1][4:]).separate([narrow])
    assert np.isfinite(separation.enhanced).all()
    assert separation.mask.shape[0] == 513


def test_divergence_never_increases_with_exponent_one_half(isnmf, pairs):
    assert isnmf.exponent == 0.5
    assert np.all(np.diff(isnmf.loss_curve_) <= 1e-6)
    for separation in isnmf.separate(pairs[0][:3]):
        assert separation.n_iter == isnmf.n_adapt_iter
        assert len(separation.history) == separation.n_iter + 1
        assert np.all(np.diff(separation.history) <= 1e-6)


def test_bases_sum_to_one_and_iterations_are_counted(isnmf):
    assert isnmf.components_.shape == (8, 513)
    np.testing.assert_allclose(isnmf.components_.sum(1), 1, rtol=1e-5)
    assert isnmf.n_iter_ == 60
    assert len(isnmf.loss_curve_) == 61


def test_the_same_seed_gives_the_same_dictionary(pairs):
    _, clean = pairs
    one, other, third = (
        ISNMF(4, max_iter=5, random_state=seed).fit(clean[:2]) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.components_, other.components_)
    assert not np.array_equal(one.components_, third.components_)


def test_max_frames_limits_what_is_learned_from(pairs, monkeypatch):
    seen = []
    original = isnmf_module.fit_isnmf

    def spy(V, *arguments, **options):
        seen.append(len(V))
        return original(V, *arguments, **options)

    monkeypatch.setattr(isnmf_module, "fit_isnmf", spy)
    _, clean = pairs
    ISNMF(2, max_iter=1, max_frames=50, random_state=0).fit(clean)
    ISNMF(2, max_iter=1, random_state=0).fit(clean)
    assert seen[0] < 80 < 300 < seen[1]


def test_a_noise_recording_helps_isnmf_with_that_noise(pairs):
    _, clean = pairs
    rng = np.random.default_rng(0)
    noises = [make_noise(len(x), "machine", random_state=rng) for x in clean[:4]]
    noisy = [
        x + n * np.sqrt(np.mean(x**2) / np.mean(n**2))
        for x, n in zip(clean, noises, strict=False)
    ]
    profile = make_noise(32000, "machine", random_state=rng)
    plain, told = (
        ISNMF(8, max_iter=60, n_adapt_iter=10, noise_profile=noise, random_state=0)
        .fit(clean[4:])
        .score(noisy, clean[:4])
        for noise in (None, profile)
    )
    assert told > plain + 0.2


def test_blocks_come_close_to_the_whole(isnmf, pairs):
    noisy = [np.concatenate(pairs[0][:5])]
    whole = isnmf.transform(noisy)
    isnmf.set_params(block_seconds=2.0)
    in_blocks = isnmf.transform(noisy)
    isnmf.set_params(block_seconds=60.0)
    assert mean_si_sdr(whole, in_blocks) > 5


class StopAfter(FitCallback):
    """Stops `fit` after some iterations."""

    def __init__(self, n):
        self.n = n
        self.seen = 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **_):
        pass

    def on_fit_task_end(self, estimator, context, **_):
        if context.task_name == "iteration":
            self.seen += 1
        return context.task_name == "iteration" and self.seen == self.n

    def teardown(self, estimator, context):
        pass


def test_a_callback_sees_each_iteration_and_may_stop_them(pairs):
    _, clean = pairs
    callback = StopAfter(3)
    isnmf = ISNMF(2, max_iter=20, random_state=0).set_callbacks(callback)
    isnmf.fit(clean[:2])
    assert callback.seen == 3
    assert isnmf.n_iter_ == 3


def test_progress_goes_to_standard_error(pairs, capsys):
    ISNMF(2, max_iter=10, random_state=0, verbose=1).fit(pairs[1][:2])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "fitting ISNMF: 10/10" in captured.err


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (ISNMF(0), "`n_components` must be an integer"),
        (ISNMF(n_noise_components=1.5), "`n_noise_components` must be an integer"),
        (ISNMF(exponent=0), "`exponent` must be a number in \\(0, 1\\]"),
        (ISNMF(device="abacus"), "`device` must be"),
        (ISNMF(device=0), "`device` must be a string"),
        (ISNMF(max_iter=0), "`max_iter`"),
    ],
)
def test_parameters_out_of_range_are_named(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit([np.ones(100)])


def test_silence_can_be_learned_from_and_enhanced():
    silence = [np.zeros(3000, np.float32)]
    [enhanced] = ISNMF(2, max_iter=3).fit(silence).transform(silence)
    assert not enhanced.any()


@pytest.mark.gpu
def test_cuda_gives_what_the_cpu_gives(pairs):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    noisy, clean = pairs
    scores = [
        ISNMF(4, max_iter=20, random_state=0, device=device)
        .fit(clean[4:])
        .score(noisy[:2], clean[:2])
        for device in ("cpu", "cuda")
    ]
    assert abs(scores[0] - scores[1]) < 0.1
