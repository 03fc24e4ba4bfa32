import weakref

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers.instances import SMALL_STFT, small
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import FitCallback, ProgressBar
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skvae import (
    ISNMF,
    ISTFT,
    STFT,
    BaseEnhancer,
    DNNMask,
    LogMel,
    MaskEstimate,
    SpectralSubtraction,
    WienerFilter,
)
from skvae.datasets import AudioFile, make_dataset
from skvae.signal.bandwidth import fill_band
from skvae.signal.blocks import BlockSpectra

NOISY, CLEAN = make_dataset(3, (0.3, 0.5), 0.0, random_state=0)


class Recorder(BaseEnhancer):
    """Records its calls, and returns a mask whose value is that of the block."""

    def __init__(
        self,
        stft=None,
        attenuation_limit=None,
        block_seconds=60.0,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.stft = stft
        self.attenuation_limit = attenuation_limit
        self.block_seconds = block_seconds
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.calls = []

    def _fit(self, noisy, clean, rng):
        self.fitted_with = noisy, clean, rng.random()

    def _estimate_mask(self, V, rng, state):
        n = 0 if state is None else state
        self.calls.append((len(V), rng.random(), state))
        mask = np.full_like(V, 1 / (1 + n))
        return MaskEstimate(
            mask, 2 * mask, n_iter=n + 1, history=[float(n)], state=n + 1
        )


def recorder(**parameters):
    return Recorder(SMALL_STFT, **parameters)


def test_fit_passes_pairs_or_clean_speech():
    noisy, clean, _ = recorder().fit(NOISY, CLEAN).fitted_with
    np.testing.assert_array_equal(noisy[1].to_waveform(), NOISY[1])
    np.testing.assert_array_equal(clean[1].to_waveform(), CLEAN[1])
    noisy, clean, _ = recorder().fit(CLEAN).fitted_with
    assert noisy is None
    np.testing.assert_array_equal(clean[2].to_waveform(), CLEAN[2])


def test_labels_count_as_no_clean_speech():
    for labels in ([0, 1, 1], np.array([0, 1, 0]), pd.Series([1.0, 2.0, 3.0])):
        assert recorder().fit(CLEAN, labels).fitted_with[0] is None


@pytest.mark.parametrize(
    "collect",
    [
        tuple,
        lambda X: pd.Series(X),
        lambda X: pd.Series(X, index=[7, 3, 5]),
        lambda X: np.array([*X, None], dtype=object)[:-1],
        lambda X: [x.tolist() for x in X],
        lambda X: [pd.Series(x) for x in X],
    ],
    ids=["tuple", "series", "series-with-index", "objects", "numbers", "items-series"],
)
def test_any_list_of_waveforms_will_do(collect):
    X, y = collect(NOISY), collect(CLEAN)
    if isinstance(X, list) and isinstance(X[0], list):
        X = [np.array(x) for x in X]  # y may be nested lists, X would be an array
    enhancer = WienerFilter(stft=SMALL_STFT).fit(X, y)
    wanted = WienerFilter(stft=SMALL_STFT).fit(NOISY, CLEAN)
    enhanced = enhancer.transform(X)
    assert isinstance(enhanced, list)
    for one, other in zip(enhanced, wanted.transform(NOISY), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert enhancer.score(X, y) == pytest.approx(wanted.score(NOISY, CLEAN), abs=1e-3)


def test_data_frames_are_arrays():
    rows = pd.DataFrame(np.stack([x[:4000] for x in NOISY]))
    enhanced = WienerFilter(stft=SMALL_STFT).fit(rows).transform(rows)
    assert isinstance(enhanced, np.ndarray) and enhanced.shape == (3, 4000)


def test_seeds_come_from_random_state():
    def seed(random_state):
        return recorder(random_state=random_state).fit(CLEAN).seed_

    assert seed(0) == seed(0) != seed(1)
    assert seed(None) != seed(None)
    rng = np.random.default_rng(0)
    assert seed(rng) != seed(rng)
    assert (
        recorder(random_state=3).fit(CLEAN).fitted_with[2]
        == (recorder(random_state=3).fit(CLEAN).fitted_with[2])
    )


def test_every_utterance_starts_its_own_generator_from_the_seed():
    enhancer = recorder(random_state=0).fit(CLEAN)
    enhancer.transform(NOISY)
    drawn = [draw for _, draw, _ in enhancer.calls]
    assert drawn == [np.random.default_rng(enhancer.seed_).random()] * 3


def test_blocks_hand_on_their_state_and_cover_every_frame_once():
    x = np.ones(8000)
    enhancer = recorder(block_seconds=0.1).fit(CLEAN)
    [result] = enhancer.separate([x])
    n_blocks = len(enhancer.calls)
    assert n_blocks >= 4
    assert [state for *_, state in enhancer.calls] == [None, *range(1, n_blocks)]
    assert sum(n for n, *_ in enhancer.calls) == result.mask.shape[1]
    assert result.n_iter == sum(range(1, n_blocks + 1))
    assert result.history == [float(k) for k in range(n_blocks)]
    # All blocks of an utterance share one generator.
    assert len({draw for _, draw, _ in enhancer.calls}) == n_blocks
    wanted = np.concatenate(
        [np.full(n, 1 / (1 + k)) for k, (n, *_) in enumerate(enhancer.calls)]
    )
    np.testing.assert_array_equal(result.mask, np.tile(wanted, (129, 1)))
    np.testing.assert_array_equal(result.mask_std, 2 * result.mask)


@pytest.mark.parametrize("n_samples", [*range(1000, 12_000, 517), 40_000])
def test_overlapping_blocks_are_cross_faded(n_samples):
    class Overlapping(Recorder):
        _block_overlap = 0.05

    enhancer = Overlapping(SMALL_STFT, block_seconds=0.1).fit(CLEAN)
    [result] = enhancer.separate([np.ones(n_samples)])
    sizes = [n for n, *_ in enhancer.calls]
    overlap = round(0.05 * 16000 / 64)
    assert sum(sizes) - overlap * (len(sizes) - 1) == result.mask.shape[1]
    # Masks decrease from block to block; so do faded ones, without jumps.
    profile = result.mask[0]
    assert (np.diff(profile) <= 0).all() and profile[0] == 1
    assert -np.diff(profile, prepend=1.0).min() <= 0.5 / overlap + 1e-9
    assert profile[-1] == pytest.approx(1 / len(sizes))
    np.testing.assert_allclose(result.mask_std, 2 * result.mask)


@pytest.mark.parametrize("call", ["transform", "enhance_blocks"])
@pytest.mark.parametrize("overlap", [0.0, 0.05])
def test_a_block_is_let_go_of_before_the_next_one_is_read(call, overlap, monkeypatch):
    alive = []

    def note(thing):
        alive.append(weakref.ref(thing))
        return thing

    class Watched(Recorder):
        _block_overlap = overlap

        def _estimate_mask(self, V, rng, state):
            return MaskEstimate(note(np.ones_like(note(V))), note(np.ones_like(V)))

    def read(*arguments):
        assert not any(reference() is not None for reference in alive)
        return note(BlockSpectra(*arguments))

    monkeypatch.setattr("skvae.enhancement.BlockSpectra", read)
    enhancer = Watched(SMALL_STFT, block_seconds=0.1).fit(CLEAN)
    for _ in getattr(enhancer, call)([np.ones(20_000)]):
        pass
    assert len(alive) > 20


def test_a_short_remainder_joins_the_last_block():
    enhancer = recorder(block_seconds=0.1).fit(CLEAN)
    for n_samples in range(1500, 6000, 100):
        enhancer.calls.clear()
        enhancer.transform([np.ones(n_samples)])
        sizes = [n for n, *_ in enhancer.calls]
        assert len(sizes) == 1 or sizes[-1] > sizes[0] // 4


def test_no_blocks_without_a_length():
    enhancer = recorder(block_seconds=None).fit(CLEAN)
    enhancer.transform([np.ones(50_000)])
    assert len(enhancer.calls) == 1


@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_channels_come_in_blocks_and_keep_their_places(n_channels):
    rng = np.random.default_rng(0)
    channels = rng.standard_normal((n_channels, 20_000))
    enhancer = WienerFilter(stft=SMALL_STFT, block_seconds=0.2).fit(CLEAN)
    pieces = list(enhancer.enhance_blocks(channels))
    assert len(pieces) > 3 and all(len(piece) == n_channels for piece in pieces)
    enhanced = np.concatenate(pieces, axis=1)
    assert enhanced.shape == channels.shape
    if n_channels == 1:
        np.testing.assert_array_equal(enhanced[0], enhancer.transform([channels[0]])[0])


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([], "equal lengths"),
        ([np.ones(5), np.ones(6)], r"equal lengths, got \[5, 6\]"),
        ([np.ones(5), np.array([np.nan] * 5)], "channel 1 must be finite"),
        (np.ones(5), "channel 0 must be a 1-D array"),
    ],
)
def test_impossible_channels_are_refused(channels, message):
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    with pytest.raises(ValueError, match=message):
        list(enhancer.enhance_blocks(channels))


def test_long_files_are_read_in_parts(tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    x = np.tile(NOISY[0], 8)
    soundfile.write(path, x, 16000, subtype="FLOAT")
    read = []
    original = AudioFile.__array__

    def spy(self, dtype=None, copy=None):
        read.append(len(self))
        return original(self, dtype, copy)

    monkeypatch.setattr(AudioFile, "__array__", spy)
    enhancer = WienerFilter(stft=SMALL_STFT, block_seconds=0.3).fit(CLEAN)
    [from_file] = enhancer.transform([AudioFile(path)])
    assert len(read) > 5 and max(read) < len(x) / 3
    [from_array] = enhancer.transform([x])
    np.testing.assert_array_equal(from_file, from_array)
    assert from_file.dtype == np.float32
    part = AudioFile(path, 1000, 6000)
    np.testing.assert_array_equal(
        enhancer.transform([part])[0], enhancer.transform([x[1000:6000]])[0]
    )


def test_files_at_another_rate_are_refused(tmp_path):
    path = tmp_path / "fast.wav"
    soundfile.write(path, NOISY[0], 44100)
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    with pytest.raises(ValueError, match=r"utterance 1.* 44100 Hz, expected 16000"):
        enhancer.transform([NOISY[0], AudioFile(path)])
    assert len(enhancer.transform([AudioFile(path, sample_rate=16000)])) == 1


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        WienerFilter().fit([AudioFile(tmp_path / "nowhere.wav")])


def test_spectrograms_bring_their_own_analysis():
    spectrograms = STFT(128, 32, window="sine", sample_rate=8000).transform(NOISY)
    enhancer = WienerFilter().fit(spectrograms)
    assert enhancer.stft_.get_params() == {
        "n_fft": 128,
        "hop_length": 32,
        "window": "sine",
        "center": True,
        "sample_rate": 8000,
    }
    enhanced = enhancer.transform(spectrograms)
    assert enhanced[0].framing == spectrograms[0].framing
    assert [len(x) for x in enhancer.transform(NOISY)] == [len(x) for x in NOISY]
    with pytest.raises(ValueError, match="n_fft=128, expected 256"):
        WienerFilter(stft=SMALL_STFT).fit(spectrograms)
    with pytest.raises(ValueError, match="utterance 1 is a spectrogram with n_fft=128"):
        WienerFilter(stft=SMALL_STFT).fit(CLEAN).transform(
            [SMALL_STFT.transform(CLEAN)[0], spectrograms[0]]
        )


def test_its_own_stft_is_not_shared_with_the_parameter():
    stft = STFT(256)
    enhancer = WienerFilter(stft=stft).fit(CLEAN)
    assert enhancer.stft_ is not stft and enhancer.stft is stft
    before = enhancer.transform(NOISY)
    stft.n_fft = 64
    np.testing.assert_array_equal(enhancer.transform(NOISY)[0], before[0])


def test_progress_goes_to_standard_error(capsys):
    enhancer = WienerFilter(stft=SMALL_STFT, verbose=1).fit(NOISY)
    quiet = clone(enhancer).set_params(verbose=0).fit(NOISY)
    for one, other in zip(
        enhancer.transform(NOISY), quiet.transform(NOISY), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    enhancer.separate(NOISY)
    enhancer.score(NOISY, CLEAN)
    captured = capsys.readouterr()
    assert captured.out == ""
    for label in ("enhancing: 3/3", "separating: 3/3", "scoring: 3/3"):
        assert label in captured.err
    quiet.transform(NOISY)
    assert capsys.readouterr().err == ""
    enhancer.set_params(verbose=True, n_jobs=2).fit(NOISY)
    import joblib

    with joblib.parallel_config(backend="threading"):
        enhanced = enhancer.transform(NOISY)
    np.testing.assert_array_equal(enhanced[2], quiet.transform(NOISY)[2])


class CountingCallback(FitCallback):
    """Counts the beginnings and ends of fits."""

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def on_fit_task_begin(self, estimator, context, **kwargs):
        self.seen.append("begin")

    def on_fit_task_end(self, estimator, context, **kwargs):
        self.seen.append("end")

    def teardown(self, estimator, context):
        self.seen.append("teardown")


@pytest.mark.parametrize("make", [ProgressBar, CountingCallback])
@pytest.mark.parametrize("method", [SpectralSubtraction, WienerFilter])
def test_callbacks_of_scikit_learn_do_not_disturb_fit(make, method):
    enhancer = method(stft=SMALL_STFT).set_callbacks(make())
    enhanced = enhancer.fit(NOISY).transform(NOISY)
    wanted = method(stft=SMALL_STFT).fit(NOISY).transform(NOISY)
    np.testing.assert_array_equal(enhanced[0], wanted[0])
    assert enhancer.fit(NOISY, CLEAN).score(NOISY, CLEAN) > 0


def test_scores_leave_out_utterances_whose_clean_speech_is_silent():
    from sklearn.exceptions import UndefinedMetricWarning

    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    alone = enhancer.score(NOISY[:1], CLEAN[:1])
    with pytest.warns(UndefinedMetricWarning, match="silent"):
        both = enhancer.score(NOISY[:2], [CLEAN[0], np.zeros_like(CLEAN[1])])
    assert both == alone


def test_attenuation_zero_is_the_identity():
    enhancer = WienerFilter(stft=SMALL_STFT, attenuation_limit=0).fit(CLEAN)
    np.testing.assert_allclose(enhancer.transform(NOISY)[0], NOISY[0], atol=1e-6)


def test_sixteen_bits_are_clipped_and_not_wrapped():
    class Inverting(Recorder):
        def _estimate_mask(self, V, rng, state):
            return MaskEstimate((np.arange(V.shape[1]) < 20) * np.ones_like(V))

    # Without its upper harmonics a square wave exceeds its own peak.
    x = np.repeat(np.array([32_767, -32_768] * 50, np.int16), 80)
    [y] = Inverting(SMALL_STFT).fit([x]).transform([x])
    assert y.dtype == np.int16 and y.max() == 32767 and y.min() == -32768
    assert (np.sign(y[40::80]) == np.sign(x[40::80])).all()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda V: np.ones_like(V), "return a MaskEstimate, .* got ndarray"),
        (lambda V: None, "return a MaskEstimate, .* got NoneType"),
        (lambda V: MaskEstimate(V[0]), r"`mask` .*\(N, F\) = \(\d+, 129\), got shape"),
        (lambda V: MaskEstimate(np.ones_like(V.T)), r"got shape \(129, \d+\)"),
        (lambda V: MaskEstimate([[0.5]]), "`mask` .* got list"),
        (lambda V: MaskEstimate(np.ones(V.shape, complex)), "`mask` of real numbers"),
        (lambda V: MaskEstimate(np.full_like(V, np.nan)), "finite mask"),
        (lambda V: MaskEstimate(np.full_like(V, -np.inf)), "finite mask"),
        (lambda V: MaskEstimate(np.full_like(V, 1.1)), r"\[1.1, 1.1\]"),
        (lambda V: MaskEstimate(np.full_like(V, -0.1)), r"within \[0, 1\]"),
        (lambda V: MaskEstimate(np.ones_like(V), V[:2]), "`mask_std` .* got shape"),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_a_method_that_finds_no_mask_is_told_what_to_return(found, message, batched):
    class Wrong(Recorder):
        def _batch_frames(self):
            return 10_000 * batched

        def _estimate_mask(self, V, rng, state):
            return found(V)

    enhancer = Wrong(SMALL_STFT).fit(CLEAN)
    for call in (enhancer.transform, enhancer.separate):
        with pytest.raises(ValueError, match=f"`_estimate_mask` must .*{message}"):
            call(NOISY)


def test_rounding_may_leave_a_mask_a_little_outside():
    class Rounded(Recorder):
        def _estimate_mask(self, V, rng, state):
            mask = np.full_like(V, 1 + 5e-7)
            mask[0] = -5e-7
            return MaskEstimate(mask)

    [result] = Rounded(SMALL_STFT).fit(CLEAN).separate(NOISY[:1])
    assert result.mask.min() == 0 and result.mask.max() == 1


def test_masks_of_other_numbers_are_taken():
    class Binary(Recorder):
        def _estimate_mask(self, V, rng, state):
            return MaskEstimate(np.median(V) < V)

    [result] = Binary(SMALL_STFT).fit(CLEAN).separate(NOISY[:1])
    assert result.mask.dtype == np.float32
    assert set(np.unique(result.mask)) == {0, 1}


@pytest.mark.parametrize("limit", [None, 10.0])
def test_what_a_method_has_found_is_not_written_to(limit):
    class Keeping(Recorder):
        _block_overlap = 0.05

        def _estimate_mask(self, V, rng, state):
            self.calls.append(np.full_like(V, 0.5 if state else 1.0))
            mask = np.broadcast_to(V.dtype.type(0.5 if state else 1), V.shape)
            return MaskEstimate(mask, self.calls[-1], state=not state)

    enhancer = Keeping(SMALL_STFT, limit, block_seconds=0.1).fit(CLEAN)
    [result] = enhancer.separate([np.ones(9000)])
    assert len(enhancer.calls) > 4
    assert all(len(np.unique(kept)) == 1 for kept in enhancer.calls)
    np.testing.assert_array_equal(result.mask, result.mask_std)


def power_of(enhancer, x):
    [spectrogram] = enhancer.stft_.transform([x])
    return np.abs(spectrogram.frames()) ** 2


def test_the_mask_of_a_power_spectrogram_is_that_of_separate():
    class Drawing(Recorder):
        def _estimate_mask(self, V, rng, state):
            mask = np.full_like(V, rng.random())
            return MaskEstimate(mask, mask / 2, n_iter=3, history=[1.0], state=7)

    enhancer = Drawing(SMALL_STFT, random_state=0).fit(CLEAN)
    [separation] = enhancer.separate(NOISY[:1])
    V = power_of(enhancer, NOISY[0]).astype(np.float32)
    estimate = enhancer.estimate_mask(V)
    np.testing.assert_array_equal(estimate.mask.T, separation.mask)
    np.testing.assert_array_equal(estimate.mask_std.T, separation.mask_std)
    assert (estimate.n_iter, estimate.history, estimate.state) == (3, [1.0], 7)
    other = enhancer.estimate_mask(V, np.random.default_rng(1))
    assert other.mask[0, 0] == np.float32(np.random.default_rng(1).random())
    # Guides need no limit.
    enhancer.set_params(attenuation_limit=0.0)
    np.testing.assert_array_equal(enhancer.estimate_mask(V).mask, estimate.mask)


def test_masks_of_power_spectrograms_hand_on_a_state():
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    V = power_of(enhancer, NOISY[0])
    first = enhancer.estimate_mask(V[:40])
    second = enhancer.estimate_mask(V[40:], state=first.state)
    whole = enhancer.estimate_mask(V)
    np.testing.assert_array_equal(np.concatenate([first.mask, second.mask]), whole.mask)


def test_masks_of_narrow_bands_are_those_of_the_filled_power():
    class Filling(Recorder):
        _fills_band = True

        def _estimate_mask(self, V, rng, state):
            return MaskEstimate(V / V.max())

    enhancer = Filling(STFT(512, 128)).fit(CLEAN)
    V = np.random.default_rng(0).exponential(1.0, (50, 257))
    V[:, 128:] = 0
    mask = enhancer.estimate_mask(V).mask
    np.testing.assert_array_equal(mask, fill_band(V) / fill_band(V).max())
    assert (mask[:, 128:] > 0).all()


def test_a_device_is_handed_down_and_never_set(monkeypatch):
    checked = []
    monkeypatch.setattr(
        "skvae.base.check_device", lambda *names: checked.append(names) or "cpu"
    )
    for cls in (ISNMF, DNNMask):
        enhancer = small(cls).set_params(random_state=0).fit(NOISY, CLEAN)
        V = power_of(enhancer, NOISY[0])
        before = vars(enhancer).copy()
        checked.clear()
        wanted = enhancer.estimate_mask(V)
        got = enhancer.estimate_mask(V, device="cuda:7")
        assert checked == [("cpu", None), ("cuda:7", None)]
        np.testing.assert_array_equal(wanted.mask, got.mask)
        assert vars(enhancer) == before
    # Methods without devices ignore it.
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    assert enhancer.estimate_mask(power_of(enhancer, NOISY[0]), device="cuda:7")


def test_what_is_no_power_spectrogram_gets_no_mask():
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    V = power_of(enhancer, NOISY[0])
    for wrong in (V.T, V[0], V.astype(complex), V.astype(int)):
        with pytest.raises(ValueError, match=r"`V` must .* \(n_frames, 129\), got"):
            enhancer.estimate_mask(wrong)
    with pytest.raises(NotFittedError):
        clone(enhancer).estimate_mask(V)


INVALID = {
    "attenuation_limit": [-12, np.nan, "6"],
    "block_seconds": [0, -1.0, np.inf],
    "n_jobs": ["2", 0, 1.5],
    "verbose": [-1, "yes"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, values in INVALID.items() for v in values]
)
def test_parameters_are_checked_whenever_they_are_used(name, value):
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN).set_params(**{name: value})
    for call in (
        lambda: enhancer.fit(CLEAN),
        lambda: enhancer.transform(NOISY),
        lambda: enhancer.separate(NOISY),
        lambda: enhancer.score(NOISY, CLEAN),
        lambda: list(enhancer.enhance_blocks(NOISY[:1])),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must"):
            call()


def test_parameters_that_do_not_go_together_are_refused_later_too():
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    enhancer.set_params(noise_estimate="profile")
    with pytest.raises(ValueError, match="needs a recording of the noise alone"):
        enhancer.transform(NOISY)


@pytest.mark.parametrize("multiple", [1, 2, 3])
def test_channels_at_a_multiple_of_the_rate_are_enhanced_in_their_band(multiple):
    rng = np.random.default_rng(0)
    n_samples = 8001
    # Every frequency of the low rate, stretched in time: band-limited by its spectrum.
    low = np.fft.rfft(rng.standard_normal(n_samples))
    low[int(0.9 * len(low)) :] = 0
    x = np.fft.irfft(low, n_samples)
    fast = np.fft.irfft(
        np.pad(low, (0, (multiple - 1) * n_samples)), multiple * n_samples
    )
    fast = (multiple * fast)[: multiple * n_samples]
    enhancer = WienerFilter(stft=STFT(256)).fit(CLEAN)
    [wanted] = np.concatenate(list(enhancer.enhance_blocks([x])), axis=1)
    [got] = np.concatenate(
        list(enhancer.enhance_blocks([fast], sample_rate=16000 * multiple)), axis=1
    )
    assert len(got) == len(fast)
    difference = got[::multiple][: len(wanted)] - wanted
    assert np.linalg.norm(difference) < 0.2 * np.linalg.norm(wanted)


@pytest.mark.parametrize("sample_rate", [8000, 44100, 16001])
def test_other_rates_are_refused(sample_rate):
    enhancer = WienerFilter(stft=SMALL_STFT).fit(CLEAN)
    with pytest.raises(ValueError, match=f"multiple of 16000, got {sample_rate}"):
        list(enhancer.enhance_blocks(NOISY[:1], sample_rate=sample_rate))


class Iterating(Recorder):
    def _fit(self, noisy, clean, rng):
        self.n_done_ = 0
        with self._iterations(5) as advance:
            for _ in range(5):
                self.n_done_ += 1
                if advance():
                    break


class StopAfterThree(CountingCallback):
    def on_fit_task_end(self, estimator, context, **kwargs):
        super().on_fit_task_end(estimator, context, **kwargs)
        return estimator.n_done_ == 3


def test_callbacks_follow_the_iterations_of_fit_and_may_stop_it():
    counting, stopping = CountingCallback(), StopAfterThree()
    assert Iterating(SMALL_STFT).set_callbacks(counting).fit(CLEAN).n_done_ == 5
    assert counting.seen.count("end") == 6  # five iterations, and fit itself
    assert (counting.seen[0], counting.seen[-1]) == ("setup", "teardown")
    assert Iterating(SMALL_STFT).set_callbacks(stopping).fit(CLEAN).n_done_ == 3
    assert stopping.seen[-1] == "teardown"


def test_people_follow_the_iterations_of_fit_if_they_ask_to(capsys):
    Iterating(SMALL_STFT, verbose=1).fit(CLEAN)
    assert "fitting Iterating: 5/5" in capsys.readouterr().err
    Iterating(SMALL_STFT).fit(CLEAN)
    assert capsys.readouterr().err == ""


class Batching(Recorder):
    """Enhances recordings in batches, each with its own mask."""

    n_at_once = 300

    def _batch_frames(self):
        return self.n_at_once

    def _estimate_mask(self, V, rng, state):
        level = rng.random() * V / (V + np.median(V))
        return MaskEstimate(level, level / 2, n_iter=len(V), state=1)

    def _estimate_masks(self, powers, rngs):
        self.calls.append([len(V) for V in powers])
        return super()._estimate_masks(powers, rngs)


# From ten to two hundred frames of 64 samples, in random order.
LENGTHS = [4000, 900, 12_000, 3600, 2500, 700, 3900, 3000, 1000, 3900]


def recordings():
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in LENGTHS]


@pytest.mark.parametrize("n_at_once", [1, 100, 300, 10_000])
@pytest.mark.parametrize("block_seconds", [None, 60.0, 0.22])
@pytest.mark.parametrize("spectral", [False, True])
def test_batches_give_what_recordings_give_alone(n_at_once, block_seconds, spectral):
    X, y = recordings(), recordings()[::-1]
    y = [np.resize(target, len(x)) for x, target in zip(X, y, strict=True)]
    options = {"block_seconds": block_seconds, "attenuation_limit": 20.0}
    batching, alone = (
        Batching(SMALL_STFT, random_state=0, **options).fit(CLEAN) for _ in range(2)
    )
    batching.n_at_once, alone.n_at_once = n_at_once, 0
    assert batching.score(X, y) == alone.score(X, y)
    if spectral:
        X = SMALL_STFT.transform(X)
    for one, other in zip(batching.separate(X), alone.separate(X), strict=True):
        for name in ("enhanced", "noise", "mask", "mask_std"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.n_iter == other.n_iter
    for one, other in zip(batching.transform(X), alone.transform(X), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not alone.calls
    assert len(batching.calls) == 0 or n_at_once > 1


def test_batches_hold_similar_lengths_and_no_more_frames_than_allowed():
    enhancer = Batching(SMALL_STFT).fit(CLEAN)
    enhancer.transform(recordings())
    assert sum(map(len, enhancer.calls)) == len(LENGTHS) - 1  # the long one is alone
    for lengths in enhancer.calls:
        assert len(lengths) * max(lengths) <= enhancer.n_at_once
        assert 2 * min(lengths) >= max(lengths)
    assert max(map(len, enhancer.calls)) > 2


def test_recordings_of_several_blocks_hand_on_their_state_alone():
    enhancer = Batching(SMALL_STFT, block_seconds=0.1).fit(CLEAN)
    seen = []
    original = enhancer._estimate_mask

    def estimate(V, rng, state):
        seen.append(state)
        return original(V, rng, state)

    enhancer._estimate_mask = estimate
    enhancer.transform(recordings()[:3])
    assert seen.count(None) == 3 and seen.count(1) > 3
    assert not any(len(lengths) > 2 for lengths in enhancer.calls)


def test_batches_show_their_progress_and_keep_the_order_of_an_array(capsys):
    rows = np.random.default_rng(0).standard_normal((5, 3000))
    enhancer = Batching(SMALL_STFT, verbose=1, random_state=0).fit(CLEAN)
    enhanced = enhancer.transform(rows)
    assert "enhancing: 5/5" in capsys.readouterr().err
    for row, wanted in zip(rows, enhanced, strict=True):
        np.testing.assert_array_equal(enhancer.transform(row[None])[0], wanted)


@pytest.mark.parametrize("method", ["fit", "transform", "separate", "score"])
def test_a_rate_that_is_not_the_enhancers_is_refused(method):
    x = [np.random.default_rng(0).standard_normal(2000)]
    enhancer = WienerFilter(stft=STFT(512, sample_rate=8000)).fit(x)
    arguments = (x, x) if method in ("fit", "score") else (x,)
    call = getattr(enhancer, method)
    call(*arguments, sample_rate=8000)
    message = "48000, but this WienerFilter works at 8000 Hz: .*reduce_noise"
    with pytest.raises(ValueError, match=message):
        call(*arguments, sample_rate=48_000)
    with pytest.raises(ValueError, match="positive whole number"):
        call(*arguments, sample_rate="8 kHz")


def test_a_fit_at_another_rate_changes_nothing():
    x = [np.random.default_rng(0).standard_normal(2000)]
    enhancer = WienerFilter().fit(x)
    before = enhancer.stft_
    with pytest.raises(ValueError, match="works at 16000 Hz"):
        enhancer.fit(x, sample_rate=8000)
    assert enhancer.stft_ is before


def test_metadata_routing_passes_the_rate_through_a_pipeline():
    x = [np.random.default_rng(0).standard_normal(2000)]
    with config_context(enable_metadata_routing=True):
        enhancer = WienerFilter().set_transform_request(sample_rate=True)
        pipeline = make_pipeline(STFT(), enhancer, ISTFT()).fit(x)
        pipeline.transform(x, sample_rate=16_000)
        with pytest.raises(ValueError, match="works at 16000 Hz"):
            pipeline.transform(x, sample_rate=44_100)


def test_the_output_is_no_table():
    x = [np.random.default_rng(0).standard_normal(2000)]
    pipeline = make_pipeline(STFT(), WienerFilter(), ISTFT())
    assert pipeline.set_output(transform="default") is pipeline
    assert isinstance(pipeline.fit(x).transform(x), list)
    for estimator in (pipeline, WienerFilter(), STFT(), LogMel()):
        with pytest.raises(ValueError, match="form no table, got 'pandas'"):
            estimator.set_output(transform="pandas")
