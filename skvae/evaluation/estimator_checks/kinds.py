"""Checks of input and output: kinds, lengths and data types."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from skvae.evaluation.estimator_checks._tools import (
    Recording,
    analysis_of,
    clean_speech,
    equal_lengths,
    fit_clone,
    noisy_speech,
    pink_noise,
    require,
    require_close,
    require_equal,
    require_raises,
    summary_of,
)
from skvae.signal.spectrogram import Spectrogram
from skvae.signal.stft import ISTFT
from skvae.utils.waveforms import INT16_SCALE


def check_list_gives_list(estimator: Any) -> None:
    """A list gives a list, also for equal lengths and for one utterance."""
    enhancer, noisy = fit_clone(estimator), noisy_speech()
    shortest = min(len(x) for x in noisy)
    for case, X in {
        "several utterances": noisy,
        "utterances of equal lengths": [x[:shortest] for x in noisy],
        "one utterance": noisy[:1],
        "a tuple": tuple(noisy),
    }.items():
        enhanced = enhancer.transform(X)
        require(
            isinstance(enhanced, list)
            and len(enhanced) == len(X)
            and all(isinstance(x, np.ndarray) and x.ndim == 1 for x in enhanced),
            f"{case}: transform must give a list of 1-D arrays, one per utterance, got "
            f"{summary_of(enhanced)}.",
        )


def check_array_gives_array(estimator: Any) -> None:
    """A 2-D array, whose rows are utterances, gives a 2-D array."""
    rows = equal_lengths()
    enhancer = fit_clone(estimator, rows)
    enhanced = enhancer.transform(rows)
    require(
        isinstance(enhanced, np.ndarray) and enhanced.shape == rows.shape,
        f"transform must give an array of shape {rows.shape}, got "
        f"{summary_of(enhanced)}.",
    )
    require_equal(enhanced, enhancer.transform(list(rows)), "2-D array against list")


def check_kind_may_change(estimator: Any) -> None:
    """An enhancer fitted on a list accepts arrays of any width, and vice versa."""
    rows, noisy = equal_lengths(), noisy_speech()
    enhancer = fit_clone(estimator, noisy)
    for width in (rows.shape[1], rows.shape[1] // 2):
        shape = np.shape(enhancer.transform(rows[:, :width]))
        require(
            shape == (len(rows), width),
            f"after fit on a list, an array of {(len(rows), width)} gave {shape}.",
        )
    enhancer.fit(rows)
    lengths = [len(x) for x in enhancer.transform(noisy)]
    require(
        lengths == [len(x) for x in noisy],
        f"after fit on an array, a list gave the lengths {lengths}.",
    )
    enhancer.fit(noisy)
    enhancer.transform(rows[:, : rows.shape[1] // 2])


def check_spectrograms_give_spectrograms(estimator: Any) -> None:
    """A list of spectrograms gives a list of spectrograms with the same parameters."""
    spectrograms = analysis_of(estimator).transform(noisy_speech())
    enhanced = fit_clone(estimator, spectrograms).transform(spectrograms)
    require(
        isinstance(enhanced, list)
        and all(isinstance(s, Spectrogram) for s in enhanced),
        f"transform must give a list of Spectrogram, got {summary_of(enhanced)}.",
    )
    for k, (one, other) in enumerate(zip(spectrograms, enhanced, strict=True)):
        for name in ("framing", "length", "sample_rate", "dtype", "shape"):
            wanted, got = getattr(one, name), getattr(other, name)
            require(wanted == got, f"utterance {k}: {name} was {wanted}, is {got}.")


def check_spectrograms_equal_waveforms(estimator: Any) -> None:
    """Between an STFT and its inverse, the result is that of the waveforms."""
    noisy, clean = noisy_speech(), clean_speech()
    stft = analysis_of(estimator)
    from_waveforms = fit_clone(estimator, clean).transform(noisy)
    from_spectrograms = fit_clone(estimator, stft.transform(clean)).transform(
        stft.transform(noisy)
    )
    for k, (one, other) in enumerate(
        zip(from_waveforms, ISTFT().transform(from_spectrograms), strict=True)
    ):
        require_close(one, other, f"utterance {k} as a spectrogram and as a waveform")


def check_lengths_are_kept(estimator: Any) -> None:
    """The output has the length of the input, from one sample on."""
    enhancer = fit_clone(estimator)
    n_fft = enhancer.stft_.n_fft
    hop = enhancer.stft_.framing().hop_length
    lengths = [1, 2, hop - 1, hop, hop + 1, n_fft // 2, n_fft - 1, n_fft, n_fft + 1]
    lengths = [n for n in (*lengths, 3 * n_fft + 7) if n > 0]
    noise = pink_noise(max(lengths))
    for X in ([noise[:n] for n in lengths], noise[None, :1]):
        got = [len(x) for x in enhancer.transform(X)]
        wanted = [len(x) for x in X]
        require(got == wanted, f"lengths {wanted} went in, {got} came out.")


def check_dtypes_are_kept(estimator: Any) -> None:
    """Each utterance keeps its dtype; integers other than int16 become float64."""
    enhancer = fit_clone(estimator)
    x = noisy_speech()[0]
    X = [
        x,
        x.astype(np.float64),
        (x * (INT16_SCALE - 1)).astype(np.int16),
        (x * 1000).astype(np.int64),
    ]
    wanted = [np.dtype(t) for t in (np.float32, np.float64, np.int16, np.float64)]
    got = [y.dtype for y in enhancer.transform(X)]
    require(got == wanted, f"dtypes should be {wanted}, are {got}.")
    got = [enhancer.transform(y[None]).dtype for y in X]
    require(got == wanted, f"dtypes of 2-D arrays should be {wanted}, are {got}.")
    # 16 bits are scaled: the same sound in floats gives the same result.
    from_int, from_float = enhancer.transform([X[2], X[2] / np.float32(INT16_SCALE)])
    difference = np.abs(from_int / INT16_SCALE - from_float.clip(-1, 1)).max()
    require(
        difference <= 1 / INT16_SCALE,
        f"int16 differs from the same utterance in floats by {difference:.2g}.",
    )


def check_recordings_read_themselves(estimator: Any) -> None:
    """A waveform may be any object with a length, a dtype and ``__array__``."""
    rate = analysis_of(estimator).sample_rate
    noisy = [Recording(x, rate) for x in noisy_speech()]
    clean = [Recording(x, rate) for x in clean_speech()]
    enhancer = fit_clone(estimator, clean)
    wanted = fit_clone(estimator)
    require_equal(
        enhancer.transform(noisy), wanted.transform(noisy_speech()), "read arrays"
    )
    require(
        enhancer.score(noisy, clean) == wanted.score(noisy_speech(), clean_speech()),
        "the score of recordings that read themselves is different.",
    )


def check_tables_are_refused(estimator: Any) -> None:
    """`set_output` accepts the default and refuses tables: utterances are none."""
    enhancer = clone(estimator)
    require(
        enhancer.set_output(transform="default") is enhancer,
        "set_output must return the estimator.",
    )
    require_raises(
        lambda: enhancer.set_output(transform="pandas"),
        "set_output(transform='pandas')",
        mentions="table",
    )
