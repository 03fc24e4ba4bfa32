"""``skvae demo``: an utterance before and after enhancement."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from skvae.cli.enhancers import choose_model, make_enhancer
from skvae.cli.errors import CommandError, reason_of
from skvae.cli.files import check_folder_name, check_output
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.datasets.audio import write_wav
from skvae.metrics import get_metric
from skvae.utils.files import written_whole
from skvae.utils.words import shown

_SAMPLE_RATE = 16000
_SECONDS = 5
_WAVEFORMS = ("noisy", "enhanced", "clean")
_PICTURE = "spectrograms.png"
_METRICS = {
    "si_sdr": "SI-SDR (dB)",
    "sdr": "SDR (dB)",
    "pesq": "PESQ (wide band)",
    "estoi": "ESTOI",
}


def run(arguments: argparse.Namespace) -> int:
    """Generate, enhance, write, draw and score an utterance.

    Parameters
    ----------
    arguments : argparse.Namespace
        The arguments.

    Returns
    -------
    int
        Exit status.
    """
    settings = choose_model(arguments.model, arguments.allow_class)
    model = settings.model
    if not math.isfinite(arguments.snr):
        raise CommandError(f"--snr must be finite, got {arguments.snr}.", status=2)
    if arguments.seed < 0:
        raise CommandError(f"--seed must not be negative, got {arguments.seed}.", 2)
    folder = _make_folder(arguments.output, arguments.overwrite)
    clean, noisy = make_utterance(arguments.snr, arguments.seed)
    enhancer = make_enhancer(settings, None)
    if enhancer.stft_.sample_rate != _SAMPLE_RATE:
        raise CommandError(
            f"--model: {model} works at {enhancer.stft_.sample_rate} Hz, but "
            f"the utterance is generated at {_SAMPLE_RATE} Hz."
        )
    [separation] = enhancer.separate([noisy])
    waveforms = {"noisy": noisy, "enhanced": separation.enhanced, "clean": clean}
    try:
        for name, waveform in waveforms.items():
            path = folder / f"{name}.wav"
            with written_whole(path, overwrite=arguments.overwrite) as file:
                write_wav(file.name, waveform, _SAMPLE_RATE)
            print(f"wrote {shown(path)}")
        print(_draw(noisy, separation, folder / _PICTURE, arguments.overwrite))
    except OSError as error:
        raise CommandError(f"-o {folder}: {reason_of(error)}.") from error
    print()
    print(_table(clean, noisy, separation.enhanced, shown(model)))
    return 0


def _make_folder(name: str, overwrite: bool) -> Path:
    """Make the folder for the results, if nothing in it would be lost."""
    check_folder_name("-o", name)
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"-o {shown(folder)}: {error.strerror}.") from error
    for file in (*(f"{name}.wav" for name in _WAVEFORMS), _PICTURE):
        check_output("-o", str(folder / file), overwrite)
    return folder


def make_utterance(snr: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate speech-like sound in the noise of a street.

    Parameters
    ----------
    snr : float
        Signal-to-noise ratio in dB.
    seed : int
        Seed; another one gives another utterance.

    Returns
    -------
    clean, noisy : ndarray of float32, shape (80000,)
        Five seconds at 16 kHz.
    """
    rng = np.random.default_rng(seed)
    n_samples = _SECONDS * _SAMPLE_RATE
    clean = make_speech(n_samples, _SAMPLE_RATE, random_state=rng)
    noise = sum(
        make_noise(n_samples, kind, _SAMPLE_RATE, random_state=rng)
        for kind in ("pink", "machine", "wind")
    )
    noisy = mix_at_snr(clean, noise, snr, rng=rng)
    # Leave room below full scale, where 16-bit files clip.
    scale = np.float32(0.9 / max(0.9, np.abs(noisy).max()))
    return clean * scale, noisy * scale


def _draw(noisy: np.ndarray, separation: Any, path: Path, overwrite: bool) -> str:
    try:
        import matplotlib
    except ImportError:
        return (
            'no picture: matplotlib is not installed (pip install "skvae[plot]" '
            "installs it)"
        )
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from skvae.plot import EnhancementDisplay

    EnhancementDisplay.from_separation(separation, sample_rate=_SAMPLE_RATE)
    with written_whole(path, overwrite=overwrite) as file:
        pyplot.savefig(file, dpi=120, format="png")
    pyplot.close()
    return f"wrote {shown(path)}"


def _table(
    clean: np.ndarray, noisy: np.ndarray, enhanced: np.ndarray, model: str
) -> str:
    lines = [f"{'':18}{'noisy':>9}{model:>16}"]
    missing = ""
    for name, title in _METRICS.items():
        metric = get_metric(name)
        try:
            before, after = (metric(clean, x, _SAMPLE_RATE) for x in (noisy, enhanced))
        except ImportError as error:
            missing = f"\n{title.split()[0]} is missing: {error}"
            continue
        lines.append(f"{title:18}{before:9.2f}{after:16.2f}")
    return "\n".join(lines) + missing
