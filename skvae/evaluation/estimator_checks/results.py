"""Checks of results: masks, levels, blocks and channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvae.datasets import make_dataset, mix_at_snr
from skvae.evaluation.estimator_checks._tools import (
    IN_ANY_CORPUS,
    TOLERANCE,
    analysis_of,
    clean_speech,
    enhance_in_blocks,
    fit_clone,
    hostile_signals,
    noisy_speech,
    pink_noise,
    require,
    require_close,
    require_equal,
)
from skvae.utils.waveforms import INT16_SCALE

#: Least number of frames in a block, in windows: enough for a first noise estimate.
_BLOCK_WINDOWS = 16
#: Least correlation of a recording enhanced in blocks with the same in one piece, for
#: methods that look at whole blocks. Others must agree exactly.
_BLOCK_CORRELATION = 0.9


def check_output_is_finite(estimator: Any) -> None:
    """The output is finite for silence, clicks, DC, clipping and any level."""
    enhancer = fit_clone(estimator)
    for name, x in hostile_signals(enhancer.stft_.n_fft).items():
        require(
            bool(np.isfinite(enhancer.transform([x])[0]).all()),
            f"transform gives NaN or inf for {name}.",
        )
        for dtype in (np.float32, np.float64):
            result = enhancer.separate([x.astype(dtype)])[0]
            for part in ("enhanced", "noise", "mask", "mask_std"):
                values = getattr(result, part)
                require(
                    values is None or bool(np.isfinite(values).all()),
                    f"{name} in {np.dtype(dtype)} gives NaN or inf in `{part}`.",
                )
    silent = enhancer.transform([np.zeros(enhancer.stft_.n_fft)])[0]
    require(not silent.any(), "silence must stay silent.")


def check_fit_survives_hostile_recordings(estimator: Any) -> None:
    """A click, silence or a single sample in the training data does no harm."""
    hostile = hostile_signals(analysis_of(estimator).n_fft)
    X = [*clean_speech(), *(hostile[name].astype(np.float32) for name in IN_ANY_CORPUS)]
    for k, x in enumerate(fit_clone(estimator, X).transform(noisy_speech())):
        require(
            bool(np.isfinite(x).all()),
            f"fitted with {IN_ANY_CORPUS}, NaN or inf comes out for utterance {k}.",
        )


def check_mask_is_a_share(estimator: Any) -> None:
    """Masks lie in [0, 1] and have the shape of the spectrogram."""
    noisy = noisy_speech()
    enhancer = fit_clone(estimator)
    for k, (one, x) in enumerate(zip(enhancer.separate(noisy), noisy, strict=True)):
        shape = enhancer.stft_.transform([x])[0].shape
        require(
            one.mask.shape == shape,
            f"utterance {k}: the mask has shape {one.mask.shape}, should be {shape}.",
        )
        low, high = float(one.mask.min()), float(one.mask.max())
        require(
            low >= 0 and high <= 1,
            f"utterance {k}: the mask must lie in [0, 1], is in [{low}, {high}].",
        )


def check_parts_sum_to_the_input(estimator: Any) -> None:
    """Speech and noise sum to the input, and `transform` gives that speech."""
    enhancer = fit_clone(estimator)
    x = noisy_speech()[0]
    waveforms = [x, x.astype(np.float64), (x * (INT16_SCALE - 1)).astype(np.int16)]
    results = enhancer.separate(waveforms)
    enhanced = enhancer.transform(waveforms)
    for result, mixture, alone in zip(results, waveforms, enhanced, strict=True):
        if mixture.dtype == np.int16:
            total = result.enhanced.astype(np.int32) + result.noise
            require_equal([total], [mixture.astype(np.int32)], "16-bit sum and input")
        else:
            total = result.enhanced + result.noise
            require_close(total, mixture, f"{mixture.dtype} sum and input")
        require_close(result.enhanced, alone, "what separate and transform give")
    for mixture in enhancer.stft_.transform(waveforms[:2]):
        [result] = enhancer.separate([mixture])
        total = result.enhanced.data + result.noise.data
        require_close(total, mixture.data, "sum of spectrograms and input")
        require_close(
            result.enhanced.data, mixture.data * result.mask, "speech and masked input"
        )


def check_score_falls_with_noise(estimator: Any) -> None:
    """The score is a number, and lower where there is more noise."""
    enhancer, clean = fit_clone(estimator), clean_speech()
    scores = []
    for snr in (20.0, 0.0, -20.0):
        noisy = [mix_at_snr(x, pink_noise(len(x)), snr) for x in clean]
        scores.append(enhancer.score(noisy, clean))
    require(
        all(isinstance(score, float) for score in scores) and scores[0] < np.inf,
        f"scores must be finite floats, got {scores}.",
    )
    require(
        scores[0] > scores[1] > scores[2],
        f"scores at 20, 0 and -20 dB should fall, are {scores}.",
    )


def check_attenuation_limit(estimator: Any) -> None:
    """`attenuation_limit` bounds the mask from below; 0 dB returns the input."""
    limit = 6.0
    least = 10 ** (-limit / 20)
    [x, *_] = noisy_speech()
    [result] = fit_clone(estimator, attenuation_limit=limit).separate([x])
    low = float(result.mask.min())
    require(
        low >= least * (1 - TOLERANCE[x.dtype]),
        f"attenuation_limit={limit} requires a mask >= {least:.4f}, it is {low:.4f}.",
    )
    [free] = fit_clone(estimator, attenuation_limit=None).separate([x])
    require(
        float(free.mask.min()) < least,
        "the mask is never below the limit, so this check shows nothing: the enhancer "
        f"attenuates noise at 0 dB SNR by less than {limit} dB.",
    )
    [same] = fit_clone(estimator, attenuation_limit=0.0).transform([x])
    require_close(same, x, "attenuation_limit=0 and the input")


def check_blocks_agree_with_the_whole(estimator: Any) -> None:
    """A recording enhanced in short blocks is like the one enhanced in one piece.

    Methods whose blocks overlap look at whole blocks, so that results differ slightly.
    A method without overlap passes on its whole state, so that results agree exactly.
    """
    stft = analysis_of(estimator)
    overlap = type(estimator)._block_overlap
    seconds = max(_BLOCK_WINDOWS * stft.n_fft / stft.sample_rate, overlap)
    n_samples = int((3.5 * seconds + overlap) * stft.sample_rate)
    [speech] = make_dataset(1, (n_samples / 16_000,) * 2, 5.0, random_state=1)[0]
    x = np.zeros(n_samples, np.float64)
    x[: len(speech)] = speech[:n_samples]
    if overlap == 0:
        # A pause and a loud end must not leak into other blocks.
        x[n_samples // 3 : n_samples // 2] = 0
        x[-n_samples // 5 :] *= 100
    [whole] = fit_clone(estimator, block_seconds=None).separate([x])
    [blocks] = fit_clone(estimator, block_seconds=seconds).separate([x])
    require(
        len(blocks.enhanced) == n_samples and bool(np.isfinite(blocks.enhanced).all()),
        f"blocks must give {n_samples} finite samples, got {len(blocks.enhanced)}.",
    )
    require(
        whole.mask.shape == blocks.mask.shape,
        f"the mask has shape {blocks.mask.shape} in blocks, else {whole.mask.shape}.",
    )
    [transformed] = fit_clone(estimator, block_seconds=seconds).transform([x])
    require_close(transformed, blocks.enhanced, "transform and separate in blocks")
    if overlap == 0:
        require_close(blocks.mask, whole.mask, "mask in blocks and in one piece")
        return
    one, other = blocks.enhanced, whole.enhanced
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    correlation = float(one @ other) / norm if norm > 0 else 0.0
    require(
        correlation >= _BLOCK_CORRELATION,
        f"in blocks the correlation with the whole is {correlation:.3f}, but should be "
        f"at least {_BLOCK_CORRELATION}.",
    )


def check_channels_keep_their_places(estimator: Any) -> None:
    """All channels of a recording are filtered alike, block by block."""
    enhancer = fit_clone(estimator)
    x = noisy_speech()[0].astype(np.float64)
    quieter = 0.25
    equal = enhance_in_blocks(enhancer, [x, x])
    require(
        equal.shape == (2, len(x)),
        f"2 channels of {len(x)} samples gave an array of shape {equal.shape}.",
    )
    require_equal([equal[0]], [equal[1]], "two equal channels")
    require_close(equal[0], enhancer.transform([x])[0], "two equal channels and one")
    placed = enhance_in_blocks(enhancer, [x, quieter * x])
    require_close(placed[1], quieter * placed[0], "a channel and its quieter copy")
    # One mask for all: filtering is linear across channels.
    other = pink_noise(len(x)).astype(np.float64)
    first, second, both = enhance_in_blocks(enhancer, [x, other, x + other])
    require_close(first + second, both, "the sum of two channels and their mixture")
