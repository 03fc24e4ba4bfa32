import pickle

import joblib
import numpy as np
import pytest

from skvae.signal.framing import (
    WINDOWS,
    Framing,
    OverlapAdd,
    make_window,
    pad_segment,
    power,
)

FRAMINGS = [
    Framing(8, 2),
    Framing(8, 2, center=False),
    Framing(8, 4, "sine"),
    Framing(8, 8, "boxcar"),
    Framing(8, 3),
    Framing(9, 2),
    Framing(9, 4, "sine", center=False),
    Framing(7, 3, "hamming"),
    Framing(16, 1, "blackman"),
    Framing(16, 5, "blackman", center=False),
    Framing(10, 4, "cosine"),
    Framing(6, 2, (0.1, 1.0, -2.0, 0.5, 0.0, 3.0)),
    Framing(5, 2, (1.0, 0.0, 0.0, 1.0, 0.0), center=False),
    Framing(1, 1, "boxcar"),
    Framing(2, 1, "sine"),
]
IDS = [
    f"{f.n_fft}-{f.hop_length}-{f.window if isinstance(f.window, str) else 'array'}"
    f"-{'center' if f.center else 'left'}"
    for f in FRAMINGS
]


def noise(n_samples, dtype=np.float64):
    return np.random.default_rng(n_samples).standard_normal(n_samples).astype(dtype)


def slow_analysis(framing, x):
    """The definition, frame by frame and bin by bin."""
    n = np.arange(framing.n_fft)
    X = np.zeros((framing.n_frames(len(x)), framing.n_bins), complex)
    for t in range(len(X)):
        start = framing.origin + t * framing.hop_length
        frame = [x[start + i] if 0 <= start + i < len(x) else 0.0 for i in n]
        for k in range(framing.n_bins):
            carrier = np.exp(-2j * np.pi * k * n / framing.n_fft)
            X[t, k] = np.sum(frame * framing.weights * carrier)
    return X


@pytest.mark.parametrize("framing", FRAMINGS, ids=IDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("f8", 1e-10), ("f4", 1e-5)])
def test_every_length_up_to_three_windows_is_reconstructed(framing, dtype, tolerance):
    for length in range(1, 3 * framing.n_fft + 2):
        x = noise(length, dtype)
        X = framing.analyse(x)
        assert X.shape == (framing.n_frames(length), framing.n_bins)
        assert X.dtype == (np.complex64 if dtype == "f4" else np.complex128)
        back = framing.synthesise(X, length)
        assert back.shape == x.shape and back.dtype == x.dtype
        assert np.abs(back - x).max() <= tolerance * max(1, np.abs(x).max())


@pytest.mark.parametrize("framing", FRAMINGS, ids=IDS)
def test_spectra_are_those_of_the_definition(framing):
    for length in (1, framing.n_fft, 2 * framing.n_fft + 1):
        x = noise(length)
        np.testing.assert_allclose(
            framing.analyse(x), slow_analysis(framing, x), atol=1e-12
        )


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "hop", "window"),
    [
        (1024, 256, "hann"),
        (512, 128, "hamming"),
        (64, 24, "hann"),
        (63, 20, "blackman"),
    ],
)
def test_frames_of_the_grid_are_those_of_librosa(n_fft, hop, window, center):
    import librosa

    framing = Framing(n_fft, hop, window, center)
    for length in (n_fft, 3 * n_fft, 5 * n_fft + 17):
        x = noise(length)
        wanted = librosa.stft(
            x,
            n_fft=n_fft,
            hop_length=hop,
            window=window,
            center=center,
            pad_mode="constant",
            dtype=complex,
        ).T
        lead = (-(n_fft // 2) if center else 0) - framing.origin
        assert lead % hop == 0
        got = framing.analyse(x)[lead // hop :][: len(wanted)]
        np.testing.assert_allclose(got, wanted, atol=1e-10 * n_fft)


@pytest.mark.parametrize("framing", FRAMINGS, ids=IDS)
def test_overlap_add_in_pieces_is_the_whole(framing):
    rng = np.random.default_rng(0)
    for length in (1, framing.n_fft + 3, 11 * framing.n_fft + 5):
        X = framing.analyse(noise(length)) * rng.random(
            (framing.n_frames(length), framing.n_bins)
        )
        whole = framing.synthesise(X, length)
        for n_pieces in {min(n, len(X)) for n in (2, 3, len(X))}:
            overlap_add = OverlapAdd(framing, length, X.dtype)
            pieces = [overlap_add.push(part) for part in np.array_split(X, n_pieces)]
            np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-12)


def test_overlap_add_refuses_more_frames_than_there_are():
    framing = Framing(8, 2)
    X = framing.analyse(noise(20))
    overlap_add = OverlapAdd(framing, 20, X.dtype)
    overlap_add.push(X)
    with pytest.raises(ValueError, match=f"expected {len(X)} frames"):
        overlap_add.push(X[:1])


@pytest.mark.parametrize("framing", FRAMINGS, ids=IDS)
def test_both_directions_are_linear(framing):
    length = 4 * framing.n_fft
    x, y = noise(length), noise(length)[::-1].copy()
    X, Y = framing.analyse(x), framing.analyse(y)
    np.testing.assert_allclose(
        framing.analyse(2 * x - 3 * y), 2 * X - 3 * Y, atol=1e-10
    )
    X, Y = X[::-1], np.roll(Y, 1, 0)
    np.testing.assert_allclose(
        framing.synthesise(2 * X - 3 * Y, length),
        2 * framing.synthesise(X, length) - 3 * framing.synthesise(Y, length),
        atol=1e-10,
    )


def test_synthesis_is_the_least_squares_solution():
    framing, length = Framing(8, 2), 13
    X = framing.analyse(noise(length))
    X = X * np.random.default_rng(1).random(X.shape)
    # Analysis as a matrix on waveforms; the windowed frames are fitted.
    n_frames = len(X)
    A = np.zeros((n_frames, 8, length))
    for t in range(n_frames):
        for i in range(8):
            sample = framing.origin + 2 * t + i
            if 0 <= sample < length:
                A[t, i, sample] = framing.weights[i]
    frames = np.fft.irfft(X, 8)
    wanted = np.linalg.lstsq(A.reshape(-1, length), frames.ravel(), rcond=None)[0]
    np.testing.assert_allclose(framing.synthesise(X, length), wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("n_fft", "hop", "window"),
    [(8, 8, "hann"), (1, 1, "hann"), (4, 4, (1, 0, 1, 1)), (4, 2, (1, 0, 1, 0))],
)
def test_windows_that_leave_gaps_are_refused(n_fft, hop, window):
    with pytest.raises(ValueError, match="NOLA"):
        Framing(n_fft, hop, window)


@pytest.mark.parametrize("hop", [0, -1, 9])
def test_hop_length_must_fit_into_a_frame(hop):
    with pytest.raises(ValueError, match=rf"`hop_length` must lie in .*got {hop}"):
        Framing(8, hop)


@pytest.mark.parametrize("name", sorted(WINDOWS))
@pytest.mark.parametrize("n_fft", [5, 8, 64])
def test_own_windows_are_those_of_scipy(name, n_fft):
    from scipy.signal import get_window

    scipy_name = {"sine": "cosine"}.get(name, name)
    # SciPy's periodic cosine is not the half-shifted sine of the codecs.
    wanted = get_window(scipy_name, n_fft, fftbins=name != "sine")
    np.testing.assert_allclose(make_window(name, n_fft), wanted, atol=1e-14)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("nothing", "`window` must be one of"),
        ((1.0, 2.0), "n_fft=4"),
        ((1.0, 2.0, 3.0, np.nan), "finite"),
    ],
)
def test_unknown_windows_are_refused(window, message):
    with pytest.raises(ValueError, match=message):
        make_window(window, 4)


def test_frames_of_a_part_are_those_of_the_whole():
    framing = Framing(16, 5, center=True)
    x = noise(200)
    X = framing.analyse(x)
    for first, last in ((0, 3), (4, 20), (len(X) - 2, len(X))):
        segment = pad_segment(x, *framing.samples_of(first, last))
        np.testing.assert_array_equal(framing.transform_frames(segment), X[first:last])


@pytest.mark.parametrize(
    ("start", "stop"), [(-3, 2), (-3, 9), (2, 4), (-5, -2), (7, 9)]
)
def test_padded_segments_are_zero_outside(start, stop):
    x = np.arange(1.0, 6.0)
    wanted = [x[i] if 0 <= i < 5 else 0.0 for i in range(start, stop)]
    assert pad_segment(x, start, stop).tolist() == wanted


def test_caches_change_neither_pickles_nor_hashes():
    framing = Framing(64, 16)
    before = joblib.hash(framing)
    framing.analyse(noise(100))
    assert joblib.hash(framing) == before
    assert pickle.loads(pickle.dumps(framing)) == framing


def test_stretched_frames_have_the_same_times():
    framing = Framing(512, 128, center=True)
    stretched = framing.stretch(3)
    assert (stretched.n_fft, stretched.hop_length) == (1536, 384)
    assert framing.n_frames(16_000) == stretched.n_frames(48_000)
    assert framing.stretch(1) is framing
    with pytest.raises(ValueError, match="array cannot be stretched"):
        Framing(4, 1, (1.0, 2.0, 2.0, 1.0)).stretch(2)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_power_is_the_square_of_the_modulus(dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((4, 5)) + 1j * rng.standard_normal((4, 5))).astype(dtype)
    V = power(X)
    assert V.dtype == X.real.dtype
    np.testing.assert_allclose(V, np.abs(X) ** 2, rtol=1e-6)
