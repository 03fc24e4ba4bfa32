import copy
import pickle

import joblib
import numpy as np
import pytest

from skvae import STFT, Spectrogram
from skvae.signal.opening import open_spectrograms
from skvae.signal.spectrogram import SpectrogramArray, make_framing, reads_itself
from skvae.utils.waveforms import check_sample_rate

STFT_8 = STFT(8, 2)


def noise(n_samples, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(n_samples).astype(dtype)


def spectrogram(n_samples=50, dtype=np.float64):
    return STFT_8.transform([noise(n_samples, dtype)])[0]


class Reader:
    """Waveform that records which of its parts were read."""

    dtype = np.dtype(np.float32)
    sample_rate = 16000

    def __init__(self, samples, read=None):
        self.samples = samples
        self.read = [] if read is None else read

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, part):
        return Reader(self.samples[part], self.read)

    def __array__(self, dtype=None, copy=None):
        self.read.append(len(self.samples))
        return self.samples


@pytest.mark.parametrize(("first", "last"), [(0, 2501), (0, 7), (40, 90), (2400, 2501)])
def test_a_reader_gives_parts_again_and_again_and_reads_once(first, last):
    reader = Reader(noise(5000, np.float32))
    [lazy] = STFT_8.transform([reader])
    eager = Spectrogram(lazy.data, length=5000, n_fft=8, hop_length=2)
    reader.read.clear()
    own, read = eager.reader(first, last), lazy.reader(first, last)
    for start, stop in ((first, last), (first + 2, last - 3), (last - 1, last)):
        wanted = eager.data.T[start:stop]
        np.testing.assert_array_equal(own(start, stop), wanted)
        np.testing.assert_array_equal(read(start, stop), wanted)
    assert len(reader.read) == 1


def test_the_parts_of_a_waveform_are_computed_when_they_are_asked_for():
    reader = Reader(noise(5000, np.float32))
    [lazy] = STFT_8.transform([reader])
    assert lazy.shape == (5, 2501) and not reader.read
    eager = Spectrogram(lazy.data, length=5000, n_fft=8, hop_length=2)
    reader.read.clear()
    for first, last in ((0, 3), (100, 120), (2490, 2501)):
        np.testing.assert_array_equal(
            lazy.frames(first, last), eager.frames(first, last)
        )
    assert max(reader.read) < 60
    np.testing.assert_array_equal(lazy.samples(10, 20), reader.samples[10:20])
    np.testing.assert_array_equal(lazy.samples(-2, 1)[:2], 0)
    np.testing.assert_array_equal(lazy.samples(4999, 5003)[1:], 0)
    assert lazy.samples(6000, 6005).tolist() == [0] * 5
    assert lazy.samples(-9, -5).tolist() == [0] * 4


def test_readers_without_slices_are_read_whole():
    methods = {name: value for name, value in vars(Reader).items()}
    del methods["__getitem__"]
    reader = type("Whole", (), methods)(noise(100, np.float32))
    [lazy] = STFT_8.transform([reader])
    np.testing.assert_array_equal(lazy.samples(10, 20), reader.samples[10:20])


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (Reader(np.zeros(0, np.float32)), "utterance 0 must have at least one sample"),
        (type("Fast", (Reader,), {"sample_rate": 8000})(noise(5)), "8000 Hz"),
    ],
)
def test_readers_are_checked_without_being_read(waveform, message):
    with pytest.raises(ValueError, match=message):
        STFT_8.transform([waveform])
    assert not waveform.read


def test_bad_samples_in_a_reader_are_found_when_it_is_read():
    bad = noise(100, np.float32)
    bad[50] = np.nan
    [lazy] = STFT_8.transform([Reader(bad)])
    with pytest.raises(ValueError, match=r"Reader.*must be finite"):
        lazy.to_waveform()
    with pytest.raises(ValueError, match="must be finite"):
        lazy.frames()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16])
def test_the_way_back_keeps_the_dtype(dtype):
    x = (noise(30) * 1000).astype(dtype)
    [lazy] = STFT_8.transform([x])
    eager = lazy.replace(lazy.data)
    assert lazy.dtype == eager.dtype == dtype
    np.testing.assert_array_equal(lazy.to_waveform(), x)
    assert eager.to_waveform().dtype == dtype
    np.testing.assert_allclose(eager.to_waveform(), x, atol=1e-5 * abs(x).max())


def test_a_spectrogram_tells_what_it_is_computed_from():
    x = noise(50)
    [lazy] = STFT_8.transform([x])
    assert lazy.source is x
    assert lazy.replace(lazy.data).source is None


def test_a_spectrogram_is_immutable():
    s = spectrogram()
    for name in ("length", "dtype", "data", "anything"):
        with pytest.raises(AttributeError, match="replace"):
            setattr(s, name, 3)
    eager = s.replace(s.data)
    for values in (eager.data, eager.frames()):
        with pytest.raises(ValueError, match="read-only"):
            values[0, 0] = 1
    assert not s.replace(s.data).data.flags.writeable


def test_it_does_not_follow_changes_of_the_array_it_was_made_from():
    values = np.ones((5, 26), complex)
    s = Spectrogram(values, length=50, n_fft=8, hop_length=2)
    values[:] = 7
    assert (s.data == 1).all()


def test_copies_and_pickles_are_equal_and_still_immutable():
    for s in (spectrogram(), spectrogram().replace(spectrogram().data)):
        for again in (pickle.loads(pickle.dumps(s)), copy.deepcopy(s), copy.copy(s)):
            np.testing.assert_array_equal(again.data, s.data)
            assert again.shape == s.shape and again.dtype == s.dtype
            with pytest.raises(AttributeError):
                again.length = 1
        assert joblib.hash(s) == joblib.hash(pickle.loads(pickle.dumps(s)))


def test_hashes_tell_spectrograms_apart_and_outlast_their_use():
    s = spectrogram()
    before = joblib.hash(s)
    s.data, s.shape, s.to_waveform()
    assert joblib.hash(s) == before != joblib.hash(spectrogram(51))


def test_it_converts_to_an_array():
    s = spectrogram()
    np.testing.assert_array_equal(np.asarray(s), s.data)
    assert np.asarray(s, dtype=np.complex64).dtype == np.complex64
    assert np.abs(s).shape == s.shape and s.ndim == 2
    assert s.replace(s.data).data.shape == s.shape


def test_single_precision_stays_single():
    s = spectrogram(dtype=np.float32)
    assert s.data.dtype == np.complex64
    assert Spectrogram(np.zeros((5, 1), np.float32), length=1).dtype == np.float32
    assert Spectrogram(np.zeros((5, 1)), length=1).dtype == np.float64


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        (np.zeros(5), {}, r"shape \(n_bins, n_frames\), got \(5,\)"),
        (np.zeros((5, 4)), {}, r"must have shape .* = \(5, 1\) for 1 samples"),
        (np.zeros((4, 1)), {"n_fft": 8}, r"= \(5, 1\)"),
        (np.full((5, 1), np.nan), {}, "must be finite"),
        (np.full((5, 1), np.inf * 1j), {}, "must be finite"),
        (np.zeros((5, 1)), {"hop_length": 20}, "hop_length"),
        (np.zeros((5, 1)), {"window": "nothing"}, "window"),
        (np.zeros((5, 1)), {"window": object()}, "window"),
    ],
)
def test_impossible_spectrograms_are_refused(values, arguments, message):
    with pytest.raises(ValueError, match=message):
        Spectrogram(values, length=1, **arguments)


def test_spectrograms_with_other_parameters_are_named():
    s = spectrogram()
    good = STFT_8.framing()
    assert open_spectrograms([s], good, 16000)[0] is s
    for framing, rate, what in (
        (STFT(16, 2).framing(), 16000, "n_fft=8, expected 16"),
        (STFT(8, 4).framing(), 16000, "hop_length=2, expected 4"),
        (STFT(8, 2, window="hann").framing(), 16000, "window='sine', expected 'hann'"),
        (STFT(8, 2, center=False).framing(), 16000, "center=True, expected False"),
        (good, 8000, "sample_rate=16000, expected 8000"),
    ):
        with pytest.raises(ValueError, match=f"utterance 1 is a spectrogram.*{what}"):
            open_spectrograms([noise(3), s], framing, rate)


def test_spectrograms_of_rows_select_like_an_array():
    rows = noise(60).reshape(4, 15)
    stack = STFT_8.transform(rows)
    assert isinstance(stack, SpectrogramArray)
    assert stack.shape == np.asarray(stack).shape == (4, 5, 8) and len(stack) == 4
    assert stack.dtype == np.asarray(stack).dtype == np.complex128
    for key in (slice(1, 3), [0, 3], np.array([True, False, True, False])):
        chosen = stack[key, ...]
        assert isinstance(chosen, SpectrogramArray)
        np.testing.assert_array_equal(np.asarray(chosen), np.asarray(stack)[key])
    np.testing.assert_array_equal(stack[2].data, np.asarray(stack)[2])
    np.testing.assert_array_equal(stack[-1].data, stack[3].data)
    assert "4 x <Spectrogram" in repr(stack)
    assert STFT_8.transform(rows.astype(np.float32)).dtype == np.complex64


def test_only_what_has_no_dimensions_reads_itself():
    assert reads_itself(Reader(noise(3)))
    assert not any(reads_itself(x) for x in (np.zeros(3), [0.0], (1.0,), spectrogram()))


@pytest.mark.parametrize("rate", [0, -1, 16000.5, "16000", None, True, np.nan, np.inf])
def test_impossible_sample_rates_are_refused(rate):
    with pytest.raises(ValueError, match="`sample_rate` must be"):
        check_sample_rate(rate)


@pytest.mark.parametrize("n_fft", [0, -8, 8.0, None, "8", True])
def test_impossible_frame_lengths_are_refused(n_fft):
    with pytest.raises(ValueError, match="`n_fft` must be an integer"):
        make_framing(n_fft, None, "hann", True)
