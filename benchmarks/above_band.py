"""Frequencies above the band of a model, whose hiss must not follow the words.

    python benchmarks/above_band.py --speech DATA/speech/valid --models best vae-nmf

There is no full-band speech at hand, so the script makes it: it repeats the band from 4
to 8 kHz of each utterance, which holds the sibilants, above 8 kHz, 6 dB lower each
time. It adds half a second of silence before each utterance, a second after it, and
synthetic noise at 48 kHz. A model for 16 kHz enhances the mixture as ``skvae enhance``
does with a file at 48 kHz.

All figures are for the band above 8.3 kHz. The level is measured in frames of 20 ms in
which the noise is at least 10 dB above the speech. So one hears the noise in them.

* words_pauses: mean level in words minus mean level in pauses, in dB.
* std: standard deviation of the level in dB, over words and pauses.
* range: distance from the 5 % to the 95 % quantile of the level in dB.
* si_sdr: SI-SDR in dB.

"noisy" is the input. "follow" is a gain that follows the words: the mean of the mask in
the highest sixteenth of the model's band. Differences are paired. Intervals are 95 %
bootstrap intervals whose clusters are the speakers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas
import soxr
from command_line import output_file
from quality import load, model_first
from scipy.signal import butter, sosfiltfilt

from skvae import STFT
from skvae.base import BaseEnhancer
from skvae.datasets import find_audio, make_noise
from skvae.datasets.mixing.pairs import take_turns
from skvae.enhancement import Enhancement
from skvae.evaluation.summary import compare, format_summary, summarize
from skvae.metrics import si_sdr
from skvae.signal.upper_band import UpperBand

RATE, MODEL_RATE = 48000, 16000
NOISES = ("white", "pink", "water")
SNRS = (10.0, 20.0, 30.0)

#: Cutoff of the high-pass filter in Hz: the model's band ends at 8 kHz.
CUTOFF = 8300
#: Samples of a frame whose level is measured.
FRAME = RATE // 50
#: Levels in dB: of the noise over the speech where it is heard, and of words and pauses
#: relative to the loudest frame of the speech.
HEARD, WORDS, PAUSES = 10, -30, -50

METRICS = ("words_pauses", "std", "range", "si_sdr")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse(argv)
    models = {name: load(name, None) for name in arguments.models}
    rows = []
    for labels, clean, noise in mixtures(arguments):
        for system, enhanced in enhance_all(models, clean + noise):
            found = measure(clean, noise, enhanced)
            rows.append({**labels, "model": system, **found})
        if arguments.csv is not None:
            pandas.DataFrame(rows).to_csv(arguments.csv, index=False)
    print(report(pandas.DataFrame(rows)))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", required=True, help="folder of clean speech")
    parser.add_argument("--models", nargs="+", default=["best"], metavar="MODEL")
    parser.add_argument("--utterances", type=int, default=None, help="number (all)")
    parser.add_argument("--noises", nargs="+", default=list(NOISES), metavar="KIND")
    parser.add_argument(
        "--snrs", nargs="+", type=float, default=list(SNRS), metavar="DB"
    )
    parser.add_argument("--csv", metavar="OUT", type=output_file)
    return parser.parse_args(argv)


def mixtures(
    arguments: argparse.Namespace,
) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Labels, clean speech and noise of each mixture, at 48 kHz."""
    files = take_turns(find_audio(arguments.speech), np.random.default_rng(0))
    for k, file in enumerate(files[: arguments.utterances]):
        clean = widened(np.asarray(file, np.float64), file.sample_rate)
        speaker = str(file.path).split("/")[-2]
        for j, kind in enumerate(arguments.noises):
            noise = make_noise(len(clean), kind, RATE, random_state=100 * k + j)
            scale = np.sqrt(np.square(clean).mean() / np.square(noise).mean())
            for snr in arguments.snrs:
                labels = {"speaker": speaker, "noise": kind, "snr_db": snr}
                yield labels, clean, scale * 10 ** (-snr / 20) * noise


def widened(x: np.ndarray, rate: int) -> np.ndarray:
    """Speech at 48 kHz whose band from 4 to 8 kHz is repeated above it."""
    stft = STFT(3072, 768, sample_rate=RATE)
    [spectrogram] = stft.transform([soxr.resample(x, rate, RATE)])
    X = spectrogram.data.copy()
    low, high = (round(f * 3072 / RATE) for f in (4000, 7500))
    for k, start in enumerate(range(high, len(X), high - low), start=1):
        part = X[start : start + high - low]
        part[:] = 10 ** (-6 * k / 20) * X[low : low + len(part)]
    wide = spectrogram.replace(X).to_waveform()
    return np.pad(wide, (RATE // 2, RATE))


class Follow(UpperBand):
    """Gain that follows the top of the mask."""

    def gain(self, mask: np.ndarray, channels: Sequence[np.ndarray]) -> np.ndarray:
        """Repeat the mean of the top of the mask in all bins."""
        n_bins = mask.shape[1]
        top = mask[:, n_bins - n_bins // 16 :].mean(1, keepdims=True)
        return np.repeat(top, channels[0].shape[1] - n_bins, axis=1)


def enhance_all(
    models: dict[str, BaseEnhancer], noisy: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    yield "noisy", noisy
    for name, model in models.items():
        framing = model.stft_.framing().stretch(RATE // MODEL_RATE)
        stft = STFT(framing.n_fft, framing.hop_length, sample_rate=RATE)
        [spectrogram] = stft.transform([noisy])
        [(_, estimate)] = Enhancement(model, [spectrogram]).blocks()
        for title, kind in ((name, UpperBand), (f"{name}, follow", Follow)):
            X = spectrogram.frames(0, spectrogram.n_frames).copy()
            n_bins = estimate.mask.shape[1]
            above = kind(n_bins, framing, RATE).gain(estimate.mask, [X])
            X *= np.hstack([estimate.mask, above])
            yield title, framing.synthesise(X, len(noisy))


def measure(
    clean: np.ndarray, noise: np.ndarray, enhanced: np.ndarray
) -> dict[str, float]:
    """Figures of one mixture, of the band above that of the model."""
    S, N, Y = (high_passed(x) for x in (clean, noise, enhanced))
    of_speech, level = levels(clean), levels(Y)
    heard = levels(N) > levels(S) + HEARD
    words = heard & (of_speech > of_speech.max() + WORDS)
    pauses = heard & (of_speech < of_speech.max() + PAUSES)
    both = level[words | pauses]
    low, high = np.percentile(both, [5, 95])
    difference = level[words].mean() - level[pauses].mean() if words.any() else np.nan
    return dict(
        zip(METRICS, (difference, both.std(), high - low, si_sdr(S, Y)), strict=True)
    )


def high_passed(x: np.ndarray) -> np.ndarray:
    return sosfiltfilt(butter(10, CUTOFF, "highpass", fs=RATE, output="sos"), x)


def levels(x: np.ndarray) -> np.ndarray:
    """Level of each frame in dB."""
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10(np.square(frames).mean(1) + 1e-12)


def report(table: pandas.DataFrame) -> str:
    """Format the figures of all mixtures, and of each noise and SNR."""
    parts = []
    groups = [("all mixtures", table)]
    groups += [(kind, part) for kind, part in table.groupby("noise", sort=False)]
    groups += [(f"{snr:g} dB", part) for snr, part in table.groupby("snr_db")]
    for title, rows in groups:
        means = pandas.concat(
            summarize(part, metrics=METRICS, cluster="speaker").assign(model=model)
            for model, part in rows.groupby("model", sort=False)
        )
        parts += [title, "-" * len(title), format_summary(model_first(means)), ""]
    parts += ["differences in SI-SDR to the gain that follows, and to the input"]
    for model, part in table.groupby("model", sort=False):
        for other in (f"{model}, follow", "noisy"):
            if model != "noisy" and other in set(table["model"]):
                parts += [f"{model} - {other}", difference(table, part, other)]
    return "\n".join(parts)


def difference(table: pandas.DataFrame, part: pandas.DataFrame, other: str) -> str:
    against = table[table["model"] == other].reset_index(drop=True)
    found = compare(
        part.reset_index(drop=True), against, metrics="si_sdr", cluster="speaker"
    )
    row = found.iloc[0]
    return f"  {row['difference']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
