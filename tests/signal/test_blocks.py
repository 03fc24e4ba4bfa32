import tracemalloc

import numpy as np
import pytest

from skvae import STFT, Spectrogram
from skvae.signal import blocks
from skvae.signal.blocks import BlockSpectra, fade_in
from skvae.signal.framing import power
from skvae.signal.upper_band import UpperBand

START, STOP = 3, 640  # three pieces, the last one shorter


class Reader:
    """Waveform that counts its reads."""

    dtype = np.dtype(np.float32)

    def __init__(self, samples):
        self.samples = samples
        self.n_read = 0

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, part):
        self.n_read += 1
        return self.samples[part]

    def __array__(self, dtype=None, copy=None):
        return self.samples


def waveforms(n_channels, dtype=np.float32):
    return np.random.default_rng(0).standard_normal((n_channels, 20_000)).astype(dtype)


@pytest.fixture(params=["kept", "made again"])
def held(request, monkeypatch):
    """Whether blocks store their spectra, or compute them twice."""
    if request.param == "made again":
        monkeypatch.setattr(blocks, "_MOST_KEPT", 0)


@pytest.fixture(params=[1, 2, 3])
def multiple(request):
    """Ratio of the sample rates of the recording and of the method."""
    return request.param


def transform(x, multiple):
    stft = STFT(32 * multiple, 8 * multiple, sample_rate=16000 * multiple)
    return stft.fit_transform(list(x))


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_power_is_the_mean_over_channels_in_the_band(n_channels, multiple, dtype):
    channels = transform(waveforms(n_channels, dtype), multiple)
    found = BlockSpectra(channels, START, STOP).power(n_fft=32)
    spectra = [channel.frames(START, STOP)[:, :17] for channel in channels]
    wanted = np.mean([abs(X) ** 2 for X in spectra], axis=0) / multiple**2
    assert found.dtype == dtype and found.flags.c_contiguous
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-12)
    if n_channels == multiple == 1:
        np.testing.assert_array_equal(found, power(spectra[0]))


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("n_masked", [1, 256, 600, STOP - START])
def test_bins_above_the_mask_have_the_gain_of_the_upper_band(multiple, n_masked):
    channels = transform(waveforms(2), multiple)
    spectra = BlockSpectra(channels, START, STOP)
    spectra.power(n_fft=32)
    mask = np.random.default_rng(1).random((n_masked, 17)).astype(np.float32)
    X = [channel.frames(START, START + n_masked) for channel in channels]
    whole, above = mask, None
    if multiple > 1:

        def upper_band():
            return UpperBand(17, channels[0].framing, 16000 * multiple)

        whole, above = np.hstack([mask, upper_band().gain(mask, X)]), upper_band()
    found = list(spectra.masked(mask, above))
    assert max(len(X) for X, _ in found) <= 256
    for k in range(2):
        np.testing.assert_array_equal(
            np.concatenate([frames[k] for frames in found]), whole * X[k]
        )


@pytest.mark.usefixtures("held")
def test_samples_are_read_once():
    reader = Reader(waveforms(1)[0])
    [channel] = STFT(32, 8).fit_transform([reader])
    reader.n_read = 0
    spectra = BlockSpectra([channel], START, STOP)
    mask = np.ones_like(spectra.power(n_fft=32))
    for _ in spectra.masked(mask):
        pass
    assert reader.n_read == 1


@pytest.mark.usefixtures("held")
def test_what_was_passed_is_not_written_to():
    x = waveforms(1)
    kept = x.copy()
    [lazy] = STFT(32, 8).fit_transform(list(x))
    own = Spectrogram(lazy.data, length=lazy.length)
    data = own.data.copy()
    for channel in (lazy, own):
        spectra = BlockSpectra([channel], 0, channel.n_frames)
        [X, *_] = [X for [X] in spectra.masked(np.zeros_like(channel.frames().real))]
        assert not X.any()
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(own.data, data)


def test_a_large_block_keeps_its_samples_and_no_spectra():
    x = np.zeros((2, 2_000_000), np.float32)
    channels = STFT(1024, 256).fit_transform(list(x))
    n_frames = channels[0].n_frames
    mask = np.broadcast_to(np.float32(1), (n_frames, 513))
    n_bytes = 2 * n_frames * 513 * np.dtype(np.complex64).itemsize
    tracemalloc.start()
    try:
        for _ in BlockSpectra(channels, 0, n_frames).masked(mask):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert x.nbytes < peak < 0.4 * n_bytes


def test_blocks_fade_from_one_to_the_next():
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 9, 4)).astype(np.float32)
    faded = fade_in(before, after)
    assert faded.dtype == np.float32
    share = (faded - before) / (after - before)
    np.testing.assert_allclose(share, share[:, :1].repeat(4, 1), atol=1e-4)
    assert (np.diff(share[:, 0]) > 0).all()
    # One block fades in as the other fades out.
    np.testing.assert_allclose(
        faded + fade_in(after, before), before + after, rtol=1e-6
    )
    np.testing.assert_allclose(fade_in(after, after), after, rtol=1e-6)
    # Frames after the shared ones do not change, nor does the input.
    longer = np.concatenate([after, before])
    kept = longer.copy()
    np.testing.assert_array_equal(fade_in(before, longer)[9:], before)
    np.testing.assert_array_equal(fade_in(before, longer)[:9], faded)
    np.testing.assert_array_equal(longer, kept)
