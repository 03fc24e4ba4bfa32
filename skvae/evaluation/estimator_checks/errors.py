"""Checks of error messages: they name what is wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from skvae.evaluation.estimator_checks._tools import (
    Recording,
    clean_speech,
    enhance_in_blocks,
    fit_clone,
    noisy_speech,
    require_raises,
)


def check_errors_name_the_utterance(estimator: Any) -> None:
    """Broken utterances raise errors that say which one, in fit and in transform."""
    good = noisy_speech()[0]
    fitted = fit_clone(estimator)
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
            "enhance_blocks": partial(enhance_in_blocks, fitted, X),
        }.items():
            place = "channel 1" if name == "enhance_blocks" else "utterance 1"
            require_raises(
                call, f"{name} with an utterance that is {what}", mentions=place
            )


def check_errors_name_the_collection(estimator: Any) -> None:
    """Anything that is no collection of utterances raises an error that says so."""
    fitted = fit_clone(estimator)
    good = noisy_speech()[0]
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
            require_raises(call, f"{name} with {what}")


def check_errors_name_the_pair(estimator: Any) -> None:
    """Clean speech that does not match X raises an error, in `fit` and in `score`."""
    fitted = fit_clone(estimator)
    X, y = noisy_speech(), clean_speech()
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
            require_raises(call, f"{name} with {what} in y", mentions=mentions)
    require_raises(
        partial(clone(estimator).fit, X[:1], y[0]),
        "fit with one utterance and a bare waveform in y",
        mentions="[y]",
    )
    require_raises(partial(fitted.score, X, None), "score without y", mentions="y")
    require_raises(
        partial(fitted.score, X, [0] * len(X)), "score with labels", mentions="y"
    )


def check_errors_name_the_sample_rate(estimator: Any) -> None:
    """Recordings and spectrograms of another sample rate raise an error."""
    fitted = fit_clone(estimator)
    stft = clone(fitted.stft_)
    rate = 2 * stft.sample_rate
    x = noisy_speech()[0]
    spectrogram = stft.set_params(sample_rate=rate).transform([x])[0]
    for what, item in (
        ("a recording", Recording(x, rate)),
        ("a spectrogram", spectrogram),
    ):
        require_raises(
            partial(fitted.transform, [item]),
            f"transform of {what} at {rate} Hz by an enhancer for {rate // 2} Hz",
            mentions=str(rate),
        )
        require_raises(
            partial(fitted.score, [x], [item]),
            f"score against {what} at {rate} Hz",
            mentions=str(rate),
        )
