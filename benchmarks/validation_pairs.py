"""Mix pairs to make choices on, so that the test pairs serve for reports only.

    python benchmarks/validation_pairs.py OUT --data DATA

Speech comes from DATA/speech/valid. Noise comes from those environments of
DATA/noise/train that are set aside for this: nothing that is compared on these pairs
may have been fitted on them. Environments and SNRs take turns so that every environment
meets every SNR. OUT receives clean/, noisy/ and pairs.csv, as ``quality.py`` reads.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from collections.abc import Sequence

import numpy as np

from skvae.datasets import AudioFile, find_audio, mix_at_snr

#: Noises set aside for choices, and the ratios in dB of the test pairs.
ENVIRONMENTS = (
    "dishes",
    "stream",
    "home_room",
    "washing_machine",
    "underground",
    "market",
)
SNRS = (-5, 0, 5, 10)

#: Greatest sample that a pair is written with: both files share one gain.
PEAK = 0.98

COLUMNS = (
    "pair",
    "speaker",
    "utterances",
    "environment",
    "noise_file",
    "snr_db",
    "seconds",
)


def main(argv: Sequence[str] | None = None) -> int:
    import soundfile

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", help="folder to write to")
    parser.add_argument("--data", required=True, help="folder of speech/ and noise/")
    parser.add_argument("--pairs", type=int, default=60, help="how many (60)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)

    rng = np.random.default_rng(arguments.seed)
    speech = take_turns(
        find_audio(os.path.join(arguments.data, "speech", "valid")), rng
    )
    noises = {
        name: find_audio(os.path.join(arguments.data, "noise", "train", name))
        for name in ENVIRONMENTS
    }
    for side in ("clean", "noisy"):
        os.makedirs(os.path.join(arguments.out, side), exist_ok=True)

    # After as many pairs every environment has met the same SNRs again: move on.
    cycle = math.lcm(len(ENVIRONMENTS), len(SNRS))
    rows = []
    for k in range(arguments.pairs):
        audio = speech[k % len(speech)]
        environment = ENVIRONMENTS[k % len(ENVIRONMENTS)]
        snr = SNRS[(k + k // cycle) % len(SNRS)]
        noise = noises[environment][int(rng.integers(len(noises[environment])))]
        clean = np.asarray(audio, dtype=np.float64)
        noisy = mix_at_snr(clean, noise, snr, rng)
        gain = min(1.0, PEAK / max(np.abs(clean).max(), np.abs(noisy).max()))
        pair = f"pair_{k:03d}"
        for side, waveform in (("clean", clean), ("noisy", noisy)):
            path = os.path.join(arguments.out, side, f"{pair}.wav")
            soundfile.write(path, gain * waveform, audio.sample_rate, subtype="PCM_16")
        file, noise_file = (os.path.basename(item.path) for item in (audio, noise))
        seconds = f"{audio.duration:.3f}"
        rows.append(
            (pair, speaker_of(audio), file, environment, noise_file, snr, seconds)
        )
    with open(os.path.join(arguments.out, "pairs.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    minutes = sum(float(row[-1]) for row in rows) / 60
    n_speakers = len({row[1] for row in rows})
    print(f"{len(rows)} pairs of {n_speakers} speakers, {minutes:.1f} minutes")
    return 0


def speaker_of(audio: AudioFile) -> str:
    """Name of the folder that a recording lies in."""
    return os.path.basename(os.path.dirname(audio.path))


def take_turns(
    recordings: list[AudioFile], rng: np.random.Generator
) -> list[AudioFile]:
    """Order recordings so that few of them are already of many speakers."""
    order = [recordings[i] for i in rng.permutation(len(recordings))]
    rounds: dict[str, int] = {}
    turns = []
    for audio in order:
        rounds[speaker_of(audio)] = rounds.get(speaker_of(audio), 0) + 1
        turns.append(rounds[speaker_of(audio)])
    return [order[i] for i in np.argsort(turns, kind="stable")]


if __name__ == "__main__":
    sys.exit(main())
