"""Checks that every enhancer must pass, also those that you write yourself.

They complement :func:`sklearn.utils.estimator_checks.check_estimator`, which knows
nothing of lists of waveforms. Each check takes an unfitted enhancer, leaves it as it
is, and raises an AssertionError that says what does not hold.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skvae.datasets import make_dataset, make_noise, mix_at_snr
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import ISTFT, STFT
from skvae.utils.waveforms import INT16_SCALE

#: Length of the utterances in seconds at 16 kHz: short, for networks are checked too.
_DURATION = (0.2, 0.3)
#: Relative errors that rounding may cause.
_TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
#: Frames of a block, at least, in windows: enough for a first estimate of the noise.
_BLOCK_WINDOWS = 16
#: Least correlation of a recording enhanced in blocks with the same in one piece, for
#: methods that look at whole blocks. Others must agree exactly.
_BLOCK_CORRELATION = 0.9


def check_enhancer(estimator: Any, *, processes: bool = False) -> None:
    """Run all checks of this module.

    Parameters
    ----------
    estimator : BaseEnhancer
        Unfitted, with parameters that make it fast. It is cloned for every check.
    processes : bool, default=False
        Whether to enhance in other processes as well, which takes seconds to start.

    Raises
    ------
    AssertionError
        If a check fails.

    Examples
    --------
    >>> from skvae import STFT, WienerFilter
    >>> from skvae.evaluation.estimator_checks import check_enhancer
    >>> check_enhancer(WienerFilter(stft=STFT(n_fft=256)))
    """
    for check in CHECKS:
        check(clone(estimator))
    if processes:
        check_jobs_change_nothing(clone(estimator), backend="loky")


def check_list_gives_list(estimator: Any) -> None:
    """A list comes out of a list, also for equal lengths and for one utterance."""
    enhancer, noisy = _fit(estimator), _noisy()
    shortest = min(len(x) for x in noisy)
    for case, X in {
        "several utterances": noisy,
        "utterances of equal lengths": [x[:shortest] for x in noisy],
        "one utterance": noisy[:1],
        "a tuple": tuple(noisy),
    }.items():
        enhanced = enhancer.transform(X)
        _require(
            isinstance(enhanced, list)
            and len(enhanced) == len(X)
            and all(isinstance(x, np.ndarray) and x.ndim == 1 for x in enhanced),
            f"{case}: transform must give a list of 1-D arrays, one an utterance, got "
            f"{_describe(enhanced)}.",
        )


def check_array_gives_array(estimator: Any) -> None:
    """A 2-D array comes out of a 2-D array, and its rows are utterances."""
    rows = _rows()
    enhancer = _fit(estimator, rows)
    enhanced = enhancer.transform(rows)
    _require(
        isinstance(enhanced, np.ndarray) and enhanced.shape == rows.shape,
        f"transform must give an array of shape {rows.shape}, got "
        f"{_describe(enhanced)}.",
    )
    _require_equal(enhanced, enhancer.transform(list(rows)), "2-D array against list")


def check_kind_may_change(estimator: Any) -> None:
    """What was fitted on a list takes arrays of any width, and the other way round."""
    rows, noisy = _rows(), _noisy()
    enhancer = _fit(estimator, noisy)
    for width in (rows.shape[1], rows.shape[1] // 2):
        shape = np.shape(enhancer.transform(rows[:, :width]))
        _require(
            shape == (len(rows), width),
            f"after fit on a list, an array of {(len(rows), width)} gave {shape}.",
        )
    enhancer.fit(rows)
    lengths = [len(x) for x in enhancer.transform(noisy)]
    _require(
        lengths == [len(x) for x in noisy],
        f"after fit on an array, a list gave the lengths {lengths}.",
    )
    enhancer.fit(noisy)
    enhancer.transform(rows[:, : rows.shape[1] // 2])


def check_spectrograms_give_spectrograms(estimator: Any) -> None:
    """A list of spectrograms comes out of one, with the same parameters."""
    spectrograms = _analysis(estimator).transform(_noisy())
    enhanced = _fit(estimator, spectrograms).transform(spectrograms)
    _require(
        isinstance(enhanced, list)
        and all(isinstance(s, Spectrogram) for s in enhanced),
        f"transform must give a list of Spectrogram, got {_describe(enhanced)}.",
    )
    for k, (one, other) in enumerate(zip(spectrograms, enhanced, strict=True)):
        for name in ("framing", "length", "sample_rate", "dtype", "shape"):
            wanted, got = getattr(one, name), getattr(other, name)
            _require(wanted == got, f"utterance {k}: {name} was {wanted}, is {got}.")


def check_spectrograms_equal_waveforms(estimator: Any) -> None:
    """Between an STFT and its inverse the same comes out as without them."""
    noisy, clean = _noisy(), _clean()
    stft = _analysis(estimator)
    from_waveforms = _fit(estimator, clean).transform(noisy)
    from_spectrograms = _fit(estimator, stft.transform(clean)).transform(
        stft.transform(noisy)
    )
    for k, (one, other) in enumerate(
        zip(from_waveforms, ISTFT().transform(from_spectrograms), strict=True)
    ):
        _require_close(one, other, f"utterance {k} as a spectrogram and as a waveform")


def check_lengths_are_kept(estimator: Any) -> None:
    """Every length comes out as it went in, from one sample on."""
    enhancer = _fit(estimator)
    n_fft = enhancer.stft_.n_fft
    hop = enhancer.stft_.framing().hop_length
    lengths = [1, 2, hop - 1, hop, hop + 1, n_fft // 2, n_fft - 1, n_fft, n_fft + 1]
    lengths = [n for n in (*lengths, 3 * n_fft + 7) if n > 0]
    noise = _noise(max(lengths))
    for X in ([noise[:n] for n in lengths], noise[None, :1]):
        got = [len(x) for x in enhancer.transform(X)]
        wanted = [len(x) for x in X]
        _require(got == wanted, f"lengths {wanted} went in, {got} came out.")


def check_dtypes_are_kept(estimator: Any) -> None:
    """Each utterance keeps its dtype; integers other than int16 become float64."""
    enhancer = _fit(estimator)
    x = _noisy()[0]
    X = [
        x,
        x.astype(np.float64),
        (x * (INT16_SCALE - 1)).astype(np.int16),
        (x * 1000).astype(np.int64),
    ]
    wanted = [np.dtype(t) for t in (np.float32, np.float64, np.int16, np.float64)]
    got = [y.dtype for y in enhancer.transform(X)]
    _require(got == wanted, f"dtypes should be {wanted}, are {got}.")
    got = [enhancer.transform(y[None]).dtype for y in X]
    _require(got == wanted, f"dtypes of 2-D arrays should be {wanted}, are {got}.")
    # 16 bits are scaled: the same sound in floats gives the same sound.
    from_int, from_float = enhancer.transform([X[2], X[2] / np.float32(INT16_SCALE)])
    difference = np.abs(from_int / INT16_SCALE - from_float.clip(-1, 1)).max()
    _require(
        difference <= 1 / INT16_SCALE,
        f"int16 differs from the same utterance in floats by {difference:.2g}.",
    )


def check_output_is_finite(estimator: Any) -> None:
    """Silence, clicks, DC, clipping and any level are inputs, not errors."""
    enhancer = _fit(estimator)
    for name, x in _hostile(enhancer.stft_.n_fft).items():
        _require(
            bool(np.isfinite(enhancer.transform([x])[0]).all()),
            f"transform gives NaN or inf for {name}.",
        )
        for dtype in (np.float32, np.float64):
            result = enhancer.separate([x.astype(dtype)])[0]
            for part in ("enhanced", "noise", "mask", "mask_std"):
                values = getattr(result, part)
                _require(
                    values is None or bool(np.isfinite(values).all()),
                    f"{name} in {np.dtype(dtype)} gives NaN or inf in `{part}`.",
                )
    silent = enhancer.transform([np.zeros(enhancer.stft_.n_fft)])[0]
    _require(not silent.any(), "silence must stay silent.")


def check_fit_survives_hostile_recordings(estimator: Any) -> None:
    """A click, silence or one sample in the training data spoils nothing."""
    hostile = _hostile(_analysis(estimator).n_fft)
    X = [*_clean(), *(hostile[name].astype(np.float32) for name in _IN_ANY_CORPUS)]
    for k, x in enumerate(_fit(estimator, X).transform(_noisy())):
        _require(
            bool(np.isfinite(x).all()),
            f"fitted with {_IN_ANY_CORPUS}, NaN or inf comes out for utterance {k}.",
        )


def check_mask_is_a_share(estimator: Any) -> None:
    """Masks lie in [0, 1] and have the shape of the spectrogram."""
    noisy = _noisy()
    enhancer = _fit(estimator)
    for k, (one, x) in enumerate(zip(enhancer.separate(noisy), noisy, strict=True)):
        shape = enhancer.stft_.transform([x])[0].shape
        _require(
            one.mask.shape == shape,
            f"utterance {k}: the mask has shape {one.mask.shape}, should be {shape}.",
        )
        low, high = float(one.mask.min()), float(one.mask.max())
        _require(
            low >= 0 and high <= 1,
            f"utterance {k}: the mask must lie in [0, 1], is in [{low}, {high}].",
        )


def check_parts_sum_to_the_input(estimator: Any) -> None:
    """Enhanced speech and noise sum to the input, and transform gives that speech."""
    enhancer = _fit(estimator)
    x = _noisy()[0]
    waveforms = [x, x.astype(np.float64), (x * (INT16_SCALE - 1)).astype(np.int16)]
    results = enhancer.separate(waveforms)
    enhanced = enhancer.transform(waveforms)
    for result, mixture, alone in zip(results, waveforms, enhanced, strict=True):
        if mixture.dtype == np.int16:
            total = result.enhanced.astype(np.int32) + result.noise
            _require_equal([total], [mixture.astype(np.int32)], "16-bit sum and input")
        else:
            total = result.enhanced + result.noise
            _require_close(total, mixture, f"{mixture.dtype} sum and input")
        _require_close(result.enhanced, alone, "what separate and transform give")
    for mixture in enhancer.stft_.transform(waveforms[:2]):
        [result] = enhancer.separate([mixture])
        total = result.enhanced.data + result.noise.data
        _require_close(total, mixture.data, "sum of spectrograms and input")
        _require_close(
            result.enhanced.data, mixture.data * result.mask, "speech and masked input"
        )


def check_company_changes_nothing(estimator: Any) -> None:
    """An utterance comes out the same alone, in any batch and in any order."""
    enhancer, noisy = _fit(estimator), _noisy()
    together = enhancer.transform(noisy)
    alone = [enhancer.transform([x])[0] for x in noisy]
    _require_equal(alone, together, "alone and together")
    _require_equal(enhancer.transform(noisy[::-1])[::-1], together, "in another order")
    _require_equal(enhancer.transform(noisy[1:]), together[1:], "without the first")
    _require_equal(enhancer.transform(noisy), together, "for the second time")
    separated = [result.enhanced for result in enhancer.separate(noisy)]
    again = [enhancer.separate([x])[0].enhanced for x in noisy]
    _require_equal(again, separated, "separated alone and together")


def check_jobs_change_nothing(estimator: Any, *, backend: str = "threading") -> None:
    """The same comes out of several jobs as out of one."""
    enhancer, noisy = _fit(estimator), _noisy()
    one_job = enhancer.set_params(n_jobs=1).transform(noisy)
    score = enhancer.score(noisy, _clean())
    enhancer.set_params(n_jobs=2)
    with joblib.parallel_config(backend=backend):
        _require_equal(enhancer.transform(noisy), one_job, f"two jobs of {backend}")
        _require(
            enhancer.score(noisy, _clean()) == score, f"score differs with {backend}."
        )


def check_fit_repeats(estimator: Any) -> None:
    """With one integer as `random_state`, fit and transform repeat bit for bit."""
    first, second = _fit(estimator), _fit(estimator)
    _require(
        first.seed_ == second.seed_, f"seed_ is {first.seed_}, then {second.seed_}."
    )
    enhanced = first.transform(_noisy())
    _require_equal(second.transform(_noisy()), enhanced, "fitted twice")
    _require_equal(first.fit(_clean()).transform(_noisy()), enhanced, "fitted again")


def check_score_falls_with_noise(estimator: Any) -> None:
    """The score is a number, and lower where there is more noise."""
    enhancer, clean = _fit(estimator), _clean()
    scores = []
    for snr in (20.0, 0.0, -20.0):
        noisy = [mix_at_snr(x, _noise(len(x)), snr) for x in clean]
        scores.append(enhancer.score(noisy, clean))
    _require(
        all(isinstance(score, float) for score in scores) and scores[0] < np.inf,
        f"scores must be finite floats, got {scores}.",
    )
    _require(
        scores[0] > scores[1] > scores[2],
        f"scores at 20, 0 and -20 dB should fall, are {scores}.",
    )


def check_global_generators_are_untouched(estimator: Any) -> None:
    """The global generators of NumPy, PyTorch and Python stay where they are."""
    import random

    def states() -> dict[str, Any]:
        numpy_state: Any = np.random.get_state()  # noqa: NPY002
        found = {
            "numpy.random": (numpy_state[1].tolist(), numpy_state[2:]),
            "random": random.getstate(),
        }
        # A method that never loads PyTorch cannot touch it.
        if "torch" in sys.modules:
            found["torch"] = sys.modules["torch"].get_rng_state().tolist()
        return found

    before = states()
    enhancer = _fit(estimator)
    enhancer.transform(_noisy())
    enhancer.separate(_noisy()[:1])
    enhancer.score(_noisy(), _clean())
    after = states()
    for name, state in before.items():
        _require(state == after[name], f"the global generator of {name} was used.")


def check_inputs_are_untouched(estimator: Any) -> None:
    """Inputs are not written to, and may be read-only."""
    writable = [x.copy() for x in _noisy()]
    clean = [x.copy() for x in _clean()]
    rows = _rows().copy()
    spectrograms = _analysis(estimator).transform(writable)
    spectrograms = [s.replace(s.data.copy()) for s in spectrograms]
    before = joblib.hash((writable, clean, rows, [s.data for s in spectrograms]))
    enhancer = _fit(estimator, writable)
    enhancer.fit(writable, clean)
    enhancer.transform(writable)
    enhancer.separate(writable)
    enhancer.score(writable, clean)
    enhancer.transform(rows)
    enhancer.transform(spectrograms)
    _filter(enhancer, [writable[0]])
    after = joblib.hash((writable, clean, rows, [s.data for s in spectrograms]))
    _require(before == after, "an input was written to.")
    for x in (*writable, rows):
        x.flags.writeable = False
    enhancer.fit(writable).transform(writable)
    enhancer.transform(rows)
    enhanced = enhancer.transform(writable)
    _require(
        all(x.flags.writeable for x in enhanced),
        "what comes out of transform must be writable, and no view of the input.",
    )


def check_transform_sets_nothing(estimator: Any) -> None:
    """Only fit sets attributes: transform, separate and score leave them."""
    enhancer = _fit(estimator)

    def snapshot() -> dict[str, Any]:
        return {
            name: joblib.hash(value)
            if isinstance(value, np.ndarray | list | dict | int | float | tuple)
            else id(value)
            for name, value in vars(enhancer).items()
        }

    before = snapshot()
    enhancer.transform(_noisy())
    enhancer.transform(_rows())
    enhancer.separate(_noisy())
    enhancer.score(_noisy(), _clean())
    _filter(enhancer, _noisy()[:1])
    after = snapshot()
    changed = sorted(
        name for name in {*before, *after} if before.get(name) != after.get(name)
    )
    _require(not changed, f"transform, separate or score changed {changed}.")


def check_pickle_and_clone(estimator: Any) -> None:
    """A pickle enhances as the original; a clone is unfitted and learns the same."""
    enhancer, noisy = _fit(estimator), _noisy()
    enhanced = enhancer.transform(noisy)
    copy = pickle.loads(pickle.dumps(enhancer))
    _require_equal(copy.transform(noisy), enhanced, "after pickling")
    fresh = clone(enhancer)
    for call in (
        partial(fresh.transform, noisy),
        partial(fresh.separate, noisy),
        partial(fresh.score, noisy, _clean()),
        partial(_filter, fresh, noisy[:1]),
    ):
        _require_raises(call, "an enhancer before fit", NotFittedError)
    _require_equal(_fit(fresh).transform(noisy), enhanced, "after cloning")


def check_attenuation_limit(estimator: Any) -> None:
    """`attenuation_limit` bounds the mask from below; 0 dB leaves the input alone."""
    limit = 6.0
    least = 10 ** (-limit / 20)
    [x, *_] = _noisy()
    [result] = _fit(estimator, attenuation_limit=limit).separate([x])
    low = float(result.mask.min())
    _require(
        low >= least * (1 - _TOLERANCE[x.dtype]),
        f"attenuation_limit={limit} asks for a mask >= {least:.4f}, it is {low:.4f}.",
    )
    [free] = _fit(estimator, attenuation_limit=None).separate([x])
    _require(
        float(free.mask.min()) < least,
        "the mask is never below the limit, so this check shows nothing: the enhancer "
        f"lowers noise at 0 dB SNR by less than {limit} dB.",
    )
    [same] = _fit(estimator, attenuation_limit=0.0).transform([x])
    _require_close(same, x, "attenuation_limit=0 and the input")


def check_blocks_agree_with_the_whole(estimator: Any) -> None:
    """A recording in short blocks has its length and sounds like that in one piece.

    Methods whose blocks overlap look at whole blocks, so their result may differ a
    little. Without overlap a method hands on its whole state: exact agreement.
    """
    stft = _analysis(estimator)
    overlap = type(estimator)._block_overlap
    seconds = max(_BLOCK_WINDOWS * stft.n_fft / stft.sample_rate, overlap)
    n_samples = int((3.5 * seconds + overlap) * stft.sample_rate)
    [speech] = make_dataset(1, (n_samples / 16_000,) * 2, 5.0, random_state=1)[0]
    x = np.zeros(n_samples, np.float64)
    x[: len(speech)] = speech[:n_samples]
    if overlap == 0:
        # A pause and a loud end: what one block holds must not leak into another.
        x[n_samples // 3 : n_samples // 2] = 0
        x[-n_samples // 5 :] *= 100
    [whole] = _fit(estimator, block_seconds=None).separate([x])
    [blocks] = _fit(estimator, block_seconds=seconds).separate([x])
    _require(
        len(blocks.enhanced) == n_samples and bool(np.isfinite(blocks.enhanced).all()),
        f"blocks must give {n_samples} finite samples, got {len(blocks.enhanced)}.",
    )
    _require(
        whole.mask.shape == blocks.mask.shape,
        f"the mask has shape {blocks.mask.shape} in blocks, else {whole.mask.shape}.",
    )
    [transformed] = _fit(estimator, block_seconds=seconds).transform([x])
    _require_close(transformed, blocks.enhanced, "transform and separate in blocks")
    if overlap == 0:
        _require_close(blocks.mask, whole.mask, "mask in blocks and in one piece")
        return
    one, other = blocks.enhanced, whole.enhanced
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    correlation = float(one @ other) / norm if norm > 0 else 0.0
    _require(
        correlation >= _BLOCK_CORRELATION,
        f"in blocks the correlation with the whole is {correlation:.3f}, should be at "
        f"least {_BLOCK_CORRELATION}.",
    )


def check_channels_keep_their_places(estimator: Any) -> None:
    """All channels of a recording are filtered alike, a block at a time."""
    enhancer = _fit(estimator)
    x = _noisy()[0].astype(np.float64)
    quieter = 0.25
    equal = _filter(enhancer, [x, x])
    _require(
        equal.shape == (2, len(x)),
        f"2 channels of {len(x)} samples gave an array of shape {equal.shape}.",
    )
    _require_equal([equal[0]], [equal[1]], "two equal channels")
    _require_close(equal[0], enhancer.transform([x])[0], "two equal channels and one")
    placed = _filter(enhancer, [x, quieter * x])
    _require_close(placed[1], quieter * placed[0], "a channel and its quieter copy")
    # One mask for all: filtering is linear across channels.
    other = _noise(len(x)).astype(np.float64)
    first, second, both = _filter(enhancer, [x, other, x + other])
    _require_close(first + second, both, "the sum of two channels and their mixture")


def check_errors_name_the_utterance(estimator: Any) -> None:
    """Broken utterances raise errors that say which one, in fit and in transform."""
    good = _noisy()[0]
    fitted = _fit(estimator)
    broken: dict[str, Any] = {
        "NaN": np.array([0.0, np.nan]),
        "inf": np.array([0.0, np.inf], np.float32),
        "complex": np.array([0j, 1j]),
        "2-D": np.zeros((4, 2)),
        "0-D": np.float64(3.0),
        "empty": np.zeros(0),
        "text": "utterance.wav",
        "words": np.array(["a", "b"]),
        "None": None,
    }
    for what, item in broken.items():
        X = [good, item]
        for name, call in {
            "fit": partial(clone(estimator).fit, X),
            "fit with y": partial(clone(estimator).fit, X, X),
            "transform": partial(fitted.transform, X),
            "separate": partial(fitted.separate, X),
            "score": partial(fitted.score, X, [good, good]),
            "y of score": partial(fitted.score, [good, good], X),
            "enhance_blocks": partial(_filter, fitted, X),
        }.items():
            place = "channel 1" if name == "enhance_blocks" else "utterance 1"
            _require_raises(
                call, f"{name} with an utterance that is {what}", mentions=place
            )


def check_errors_name_the_collection(estimator: Any) -> None:
    """What is no collection of utterances raises an error that says so."""
    fitted = _fit(estimator)
    good = _noisy()[0]
    spectrogram = fitted.stft_.transform([good])[0]
    for what, X in {
        "an empty list": [],
        "text": "utterance.wav",
        "None": None,
        "a 1-D array": good,
        "a 3-D array": np.zeros((2, 3, 4)),
        "one spectrogram": spectrogram,
        "waveforms and spectrograms": [good, spectrogram],
        "NaN in an array": np.array([[0.0, np.nan]]),
        "a complex array": np.zeros((2, 3), complex),
    }.items():
        for name, call in {
            "fit": partial(clone(estimator).fit, X),
            "transform": partial(fitted.transform, X),
        }.items():
            _require_raises(call, f"{name} with {what}")


def check_errors_name_the_pair(estimator: Any) -> None:
    """Clean speech that does not belong to X raises an error, in fit and in score."""
    fitted = _fit(estimator)
    X, y = _noisy(), _clean()
    n = len(X[1])
    for what, clean, mentions in (
        ("a pair of unequal lengths", [y[0], y[1][:-1], *y[2:]], f"1 has {n} samples"),
        ("too few clean utterances", y[:-1], f"{len(y) - 1}"),
        ("too many clean utterances", [*y, y[0]], f"{len(y) + 1}"),
        ("a bare waveform", y[0], "[y]"),
        ("no utterance", [], "0"),
    ):
        for name, call in {
            "fit": partial(clone(estimator).fit, X, clean),
            "score": partial(fitted.score, X, clean),
        }.items():
            _require_raises(call, f"{name} with {what} in y", mentions=mentions)
    _require_raises(
        partial(clone(estimator).fit, X[:1], y[0]),
        "fit with one utterance and a bare waveform in y",
        mentions="[y]",
    )
    _require_raises(partial(fitted.score, X, None), "score without y", mentions="y")
    _require_raises(
        partial(fitted.score, X, [0] * len(X)), "score with labels", mentions="y"
    )


def check_errors_name_the_sample_rate(estimator: Any) -> None:
    """Recordings and spectrograms of another sample rate raise an error."""
    fitted = _fit(estimator)
    stft = clone(fitted.stft_)
    rate = 2 * stft.sample_rate
    x = _noisy()[0]
    spectrogram = stft.set_params(sample_rate=rate).transform([x])[0]
    for what, item in (
        ("a recording", _Recording(x, rate)),
        ("a spectrogram", spectrogram),
    ):
        _require_raises(
            partial(fitted.transform, [item]),
            f"transform of {what} at {rate} Hz by an enhancer for {rate // 2} Hz",
            mentions=str(rate),
        )
        _require_raises(
            partial(fitted.score, [x], [item]),
            f"score against {what} at {rate} Hz",
            mentions=str(rate),
        )


def check_recordings_read_themselves(estimator: Any) -> None:
    """A waveform may be any object with a length, a dtype and ``__array__``."""
    rate = _analysis(estimator).sample_rate
    noisy = [_Recording(x, rate) for x in _noisy()]
    clean = [_Recording(x, rate) for x in _clean()]
    enhancer = _fit(estimator, clean)
    wanted = _fit(estimator)
    _require_equal(enhancer.transform(noisy), wanted.transform(_noisy()), "read arrays")
    _require(
        enhancer.score(noisy, clean) == wanted.score(_noisy(), _clean()),
        "recordings that read themselves score differently.",
    )


def check_set_output_is_unavailable(estimator: Any) -> None:
    """Utterances are no table: there are no names of columns to set."""
    _require(
        not hasattr(estimator, "set_output"),
        "set_output must not be available: utterances are no data frame.",
    )


#: All checks, in the order in which :func:`check_enhancer` runs them.
CHECKS: tuple[Callable[[Any], None], ...] = (
    check_list_gives_list,
    check_array_gives_array,
    check_kind_may_change,
    check_spectrograms_give_spectrograms,
    check_spectrograms_equal_waveforms,
    check_lengths_are_kept,
    check_dtypes_are_kept,
    check_output_is_finite,
    check_fit_survives_hostile_recordings,
    check_mask_is_a_share,
    check_parts_sum_to_the_input,
    check_company_changes_nothing,
    check_jobs_change_nothing,
    check_fit_repeats,
    check_score_falls_with_noise,
    check_global_generators_are_untouched,
    check_inputs_are_untouched,
    check_transform_sets_nothing,
    check_pickle_and_clone,
    check_attenuation_limit,
    check_blocks_agree_with_the_whole,
    check_channels_keep_their_places,
    check_errors_name_the_utterance,
    check_errors_name_the_collection,
    check_errors_name_the_pair,
    check_errors_name_the_sample_rate,
    check_recordings_read_themselves,
    check_set_output_is_unavailable,
)

# What turns up in any large corpus, so that fit must take it.
_IN_ANY_CORPUS = ("digital silence", "one click", "one sample")


class _Recording:
    """A waveform that reads itself and knows its rate; no more than is asked for."""

    def __init__(self, samples: np.ndarray, sample_rate: int):
        self._samples = samples
        self.sample_rate = sample_rate
        self.dtype = samples.dtype

    def __len__(self) -> int:
        return len(self._samples)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._samples, dtype=dtype)


@lru_cache
def _data() -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    noisy, clean = make_dataset(3, _DURATION, 0.0, random_state=0)
    for x in (*noisy, *clean):
        x.flags.writeable = False
    return tuple(noisy), tuple(clean)


def _noisy() -> list[np.ndarray]:
    return list(_data()[0])


def _clean() -> list[np.ndarray]:
    return list(_data()[1])


def _rows() -> np.ndarray:
    shortest = min(len(x) for x in _noisy())
    return np.stack([x[:shortest] for x in _noisy()])


@lru_cache
def _noise(n_samples: int) -> np.ndarray:
    return make_noise(n_samples, "pink", random_state=0)


def _hostile(n_fft: int) -> dict[str, np.ndarray]:
    n = 4 * n_fft
    click = np.zeros(n)
    click[n // 2] = 1
    silence_then_noise = np.zeros(8 * n_fft)
    silence_then_noise[n:] = _noise(n)
    return {
        "digital silence": np.zeros(n),
        "one click": click,
        "a constant": np.full(n, 0.5),
        "a square wave at full scale": np.where(np.arange(n) // 20 % 2 == 0, 1.0, -1.0),
        "a level of 1e-6": 1e-6 * _noise(n),
        "a level of 1e4": 1e4 * _noise(n),
        "silence before noise": silence_then_noise,
        "one sample": np.ones(1),
    }


def _fit(estimator: Any, X: Any = None, **parameters: Any) -> Any:
    """Fitted clone; the generator of the original may be None."""
    enhancer = clone(estimator).set_params(random_state=0, **parameters)
    return enhancer.fit(_clean() if X is None else X)


def _filter(enhancer: Any, channels: Any) -> np.ndarray:
    return np.concatenate(list(enhancer.enhance_blocks(channels)), axis=1)


def _analysis(estimator: Any) -> STFT:
    return STFT() if estimator.stft is None else clone(estimator.stft)


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, list | tuple):
        kinds = sorted({type(item).__name__ for item in value})
        return f"a {type(value).__name__} of {len(value)} {' and '.join(kinds)}"
    return type(value).__name__


def _require(condition: bool, message: str) -> None:
    # No assert statement: python -O must not switch checks off.
    if not condition:
        raise AssertionError(message)


def _require_equal(got: Sequence[Any], wanted: Sequence[Any], what: str) -> None:
    _require(len(got) == len(wanted), f"{what}: {len(got)} against {len(wanted)}.")
    for k, (one, other) in enumerate(zip(got, wanted, strict=True)):
        _require(
            one.shape == other.shape and one.dtype == other.dtype,
            f"{what}: utterance {k} has dtype and shape {one.dtype}, {one.shape} "
            f"against {other.dtype}, {other.shape}.",
        )
        _require(
            np.array_equal(one, other),
            f"{what}: utterance {k} differs by up to {np.abs(one - other).max():.3g}, "
            "should be the same to the last bit.",
        )


def _require_close(got: np.ndarray, wanted: np.ndarray, what: str) -> None:
    _require(got.shape == wanted.shape, f"{what}: {got.shape} against {wanted.shape}.")
    # Integers may be rounded to another neighbour.
    tolerance = max(
        _TOLERANCE.get(part.real.dtype, 1 / INT16_SCALE) for part in (got, wanted)
    )
    scale = max(float(np.abs(wanted).max()), np.finfo(np.float64).tiny)
    error = float(np.abs(got - wanted.astype(np.result_type(got, np.float32))).max())
    error /= scale
    _require(
        error <= tolerance,
        f"{what} differ by {error:.3g} of the peak, should by {tolerance:g} at most.",
    )


def _require_raises(
    call: Callable[[], Any],
    what: str,
    kinds: type[Exception] | tuple[type[Exception], ...] = (ValueError, TypeError),
    mentions: str = "",
) -> None:
    try:
        call()
    except kinds as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(
            f"{what} must raise a ValueError, raises {error!r}."
        ) from error
    else:
        raise AssertionError(f"{what} must raise an error, passes.")
    _require(
        mentions in message,
        f"{what}: the error must say {mentions!r}, says {message!r}",
    )
