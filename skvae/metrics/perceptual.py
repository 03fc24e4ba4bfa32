"""PESQ: the speech quality that ITU-T P.862 predicts for listeners.

The scores come from the `pesq` package, which wraps the program of the ITU. It is
compiled on installation and therefore optional: ``pip install "skvae[pesq]"``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skvae.metrics._pairs import open_pair, undefined
from skvae.utils.waveforms import check_sample_rate

#: Sample rates in Hz for which each mode is defined.
MODES = {"wb": (16000,), "nb": (8000, 16000), "nb-raw": (8000, 16000)}

#: Maximum length of a part in seconds. The program has memory for 50 utterances and
#: writes beyond it if it finds more. An utterance and its pause last at least 0.388 s
#: (97 frames of 4 ms), and 0.6 s are padded, so that a part holds at most 47.
MAX_SECONDS = 18

#: Minimum length in seconds that the program accepts.
MIN_SECONDS = 0.25

#: Minimum and maximum raw score of P.862.
RAW_RANGE = (-0.5, 4.5)


def pesq(
    clean: Any, enhanced: Any, sample_rate: int = 16000, mode: str = "wb"
) -> float:
    """Perceptual evaluation of speech quality (PESQ).

    Parameters
    ----------
    clean : array-like, shape (n_samples,)
        Clean speech.
    enhanced : array-like, shape (n_samples,)
        Enhanced speech. PESQ aligns the levels of both waveforms, so that peaks above 1
        are allowed.
    sample_rate : int, default=16000
        Sample rate in Hz: 16000, or 8000 in the narrow-band modes.
    mode : {"wb", "nb", "nb-raw"}, default="wb"
        Scale of the score:

        - "wb": wide band, P.862.2, from 1.04 to 4.64;
        - "nb": narrow band as an opinion score (MOS-LQO), P.862.1, from 1.02 to 4.55;
        - "nb-raw": narrow band without that mapping, P.862, from -0.5 to 4.5. Papers
          that say only "PESQ" often mean this scale.

    Returns
    -------
    float
        Score. Higher is better. NaN, with a warning, if a waveform is silent or shorter
        than a quarter of a second, or if `clean` contains no speech.

    Raises
    ------
    ImportError
        If the `pesq` package is missing.

    See Also
    --------
    estoi : Predicted intelligibility.
    sdr : Ratio of the energies of speech and distortion.

    Notes
    -----
    PESQ is intended for short recordings, and the program's memory is limited.
    Recordings of more than 18 s are split into parts of equal length, whose scores are
    averaged. Parts in which `clean` contains no speech are ignored.

    References
    ----------
    .. [1] ITU-T Recommendation P.862, "Perceptual evaluation of speech quality
       (PESQ)", 2001; P.862.1, 2003; P.862.2, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> syllables = np.sin(np.arange(32000) / 1500) ** 2
    >>> clean = syllables * rng.standard_normal(32000)
    >>> round(pesq(clean, clean), 2)
    4.64
    >>> round(pesq(clean, clean, mode="nb-raw"), 2)
    4.5
    >>> pesq(clean, clean + rng.standard_normal(32000)) < 2
    True
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}, got {mode!r}.")
    sample_rate = check_sample_rate(sample_rate)
    if sample_rate not in MODES[mode]:
        raise ValueError(
            f"`sample_rate` must be {' or '.join(map(str, MODES[mode]))} for PESQ in "
            f"mode {mode!r}, got {sample_rate}: resample both waveforms first, for "
            f"example with soxr.resample(waveform, {sample_rate}, {MODES[mode][-1]})."
        )
    clean, enhanced = open_pair(clean, enhanced)
    _import_pesq()  # raise an error for a missing package, whatever the waveforms are
    if clean.size < MIN_SECONDS * sample_rate:
        return undefined("PESQ", f"the waveforms are shorter than {MIN_SECONDS} s")

    n_parts = math.ceil(clean.size / (MAX_SECONDS * sample_rate))
    scores = []
    for part in zip(
        np.array_split(clean, n_parts), np.array_split(enhanced, n_parts), strict=True
    ):
        score = _opinion_score(*part, sample_rate, mode)
        if score is None:
            continue
        if math.isnan(score):
            return undefined("PESQ", "enhanced is silent where clean is not")
        scores.append(_raw_score(score) if mode == "nb-raw" else score)
    if not scores:
        return undefined("PESQ", "clean holds no speech")
    return math.fsum(scores) / len(scores)


def _import_pesq() -> Any:
    try:
        import pesq
    except ImportError as error:
        raise ImportError(
            'PESQ needs the package pesq: pip install "skvae[pesq]".'
        ) from error
    return pesq


def _opinion_score(
    clean: np.ndarray, enhanced: np.ndarray, sample_rate: int, mode: str
) -> float | None:
    """Return MOS-LQO of one part, None without speech in `clean`, or NaN on failure."""
    program = _import_pesq()
    if not clean.any():
        return None
    if not enhanced.any():
        return math.nan
    # The program divides both by the larger peak, so nothing clips.
    score = program.pesq(
        sample_rate,
        clean,
        enhanced,
        mode=mode[:2],
        on_error=program.PesqError.RETURN_VALUES,
    )
    if score == program.PesqError.NO_UTTERANCES_DETECTED:
        return None
    return float(score) if score > 0 else math.nan


def _raw_score(opinion_score: float) -> float:
    """Invert the mapping of P.862.1 from raw scores to MOS-LQO."""
    lowest, highest = RAW_RANGE
    # y = 0.999 + 4 / (1 + exp(-1.4945 x + 4.6607)) stays above 0.999, but the score is
    # rounded.
    if opinion_score <= 1.0:
        return lowest
    raw = (4.6607 - math.log(4.0 / (opinion_score - 0.999) - 1.0)) / 1.4945
    return min(max(raw, lowest), highest)
