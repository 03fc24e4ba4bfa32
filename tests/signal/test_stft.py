import numpy as np
import pytest

from skvae import ISTFT, STFT, Spectrogram
from skvae.metrics import mean_si_sdr


def noise(n_samples, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(n_samples).astype(dtype)


@pytest.mark.parametrize(
    ("stft", "lengths"),
    [
        (STFT(), (1, 2, 255, 256, 511, 512, 1023, 1024, 1025, 5000)),
        (STFT(512, 128, window="sine", center=False), (1, 127, 512, 700)),
        (STFT(100, 33, window=np.hanning(102)[1:-1]), range(1, 301, 7)),
        (STFT(64, window=list(np.linspace(0.1, 1, 64))), range(1, 193, 5)),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("f8", 1e-10), ("f4", 1e-5)])
def test_every_length_comes_back(stft, lengths, dtype, tolerance):
    X = [noise(n, dtype) for n in lengths]
    spectrograms = stft.fit_transform(X)
    # Once with their waveform, and once made from their values alone.
    values = [s.replace(s.data) for s in spectrograms]
    for back in (ISTFT().transform(spectrograms), ISTFT().transform(values)):
        for x, y in zip(X, back, strict=True):
            assert y.dtype == x.dtype
            np.testing.assert_allclose(y, x, rtol=0, atol=tolerance * 4)


def test_lists_give_lists_and_arrays_give_arrays():
    rows = noise(60).reshape(3, 20)
    stft = STFT(8, 2)
    stack = stft.fit_transform(rows)
    back = ISTFT().fit(stack).transform(stack)
    assert isinstance(back, np.ndarray)
    np.testing.assert_allclose(back, rows, atol=1e-12)
    listed = stft.transform(list(rows))
    assert isinstance(listed, list) and isinstance(listed[0], Spectrogram)
    assert isinstance(ISTFT().transform(listed), list)


def test_the_wrong_direction_is_an_error_that_says_what_to_do():
    spectrograms = STFT(8).transform([noise(9)])
    with pytest.raises(ValueError, match="STFT takes waveforms, got a list of spectro"):
        STFT(8).fit(spectrograms)
    with pytest.raises(ValueError, match="STFT takes waveforms"):
        STFT(8).transform(spectrograms)
    with pytest.raises(ValueError, match=r"ISTFT takes spectrograms.*by STFT first"):
        ISTFT().transform([noise(9)])
    with pytest.raises(ValueError, match="ISTFT takes spectrograms"):
        ISTFT().fit(noise(20).reshape(2, 10))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_fft": 0}, "`n_fft`"),
        ({"hop_length": 0}, "`hop_length`"),
        ({"hop_length": 2000}, r"`hop_length` must lie in \[1, n_fft=1024\], got 2000"),
        ({"window": "wood"}, "`window` must be one of"),
        ({"window": [1, 2]}, "`window` must contain n_fft=1024 finite numbers"),
        ({"hop_length": 1024, "window": "hann"}, "NOLA"),
        ({"sample_rate": 0}, "`sample_rate`"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    for call in ("fit", "transform"):
        with pytest.raises(ValueError, match=message):
            getattr(STFT(**parameters), call)([noise(10)])


def test_score_is_the_mean_si_sdr_of_the_waveforms():
    clean = [noise(200, seed=k) for k in range(3)]
    noisy = [x + 0.3 * noise(200, seed=9) for x in clean]
    spectrograms = STFT(64).transform(noisy)
    score = ISTFT().score(spectrograms, clean)
    assert score == pytest.approx(mean_si_sdr(clean, noisy))
    assert 5 < score < 15


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "must be the clean speech.*NoneType"),
        ([0, 1], "must be the clean speech"),
        ([noise(20)], "the 2 utterances"),
        ([noise(20), noise(19)], "utterance 1 has 20 samples in X but 19 in y"),
        (noise(20), r"\[y\]"),
    ],
)
def test_score_wants_the_clean_speech_of_each_utterance(y, message):
    spectrograms = STFT(8).transform([noise(20), noise(20)])
    with pytest.raises(ValueError, match=message):
        ISTFT().score(spectrograms, y)


def test_no_audio_is_read_before_it_is_used(tmp_path):
    import soundfile

    from skvae.datasets import AudioFile

    path = tmp_path / "x.wav"
    soundfile.write(path, 0.1 * noise(1000), 16000, subtype="FLOAT")
    spectrograms = STFT(64).transform([AudioFile(path)])
    assert spectrograms[0].length == 1000
    path.unlink()
    with pytest.raises(OSError, match=r"x\.wav"):
        spectrograms[0].to_waveform()
