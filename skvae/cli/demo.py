"""``skvae demo``: one utterance, before and after."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from skvae.cli.errors import CommandError
from skvae.cli.models import check_name, default_model

_SAMPLE_RATE = 16000
_SECONDS = 5
_METRICS = {
    "si_sdr": "SI-SDR (dB)",
    "sdr": "SDR (dB)",
    "pesq": "PESQ (wide band)",
    "estoi": "ESTOI",
}


def run(arguments: argparse.Namespace) -> int:
    """Make, enhance, write, draw and score an utterance.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the parser made of the command line.

    Returns
    -------
    int
        Exit status.
    """
    import soundfile

    from skvae.cli.enhance import Settings, make_enhancer

    model = arguments.model or default_model()
    check_name(model)
    if not math.isfinite(arguments.snr):
        raise CommandError(f"--snr must be finite, got {arguments.snr}.", status=2)
    if arguments.seed < 0:
        raise CommandError(f"--seed must not be negative, got {arguments.seed}.", 2)
    folder = Path(arguments.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"-o {folder}: {error.strerror}.") from error

    clean, noisy = make_utterance(arguments.snr, arguments.seed)
    enhancer = make_enhancer(Settings(model), None)
    if enhancer.stft_.sample_rate != _SAMPLE_RATE:
        raise CommandError(
            f"--model: {model} works at {enhancer.stft_.sample_rate} Hz, but "
            f"the utterance is made at {_SAMPLE_RATE} Hz."
        )
    [separation] = enhancer.separate([noisy])
    waveforms = {"noisy": noisy, "enhanced": separation.enhanced, "clean": clean}
    for name, waveform in waveforms.items():
        path = folder / f"{name}.wav"
        soundfile.write(path, waveform, _SAMPLE_RATE, subtype="PCM_16")
        print(f"wrote {path}")
    print(_draw(noisy, separation, folder / "spectrograms.png"))
    print()
    print(_table(clean, noisy, separation.enhanced, model))
    return 0


def make_utterance(snr: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Speech-like sound in the noise of a street-like mixture.

    Parameters
    ----------
    snr : float
        Signal-to-noise ratio in dB.
    seed : int
        Another seed gives another utterance.

    Returns
    -------
    clean, noisy : ndarray of float32, shape (80000,)
        Five seconds at 16 kHz.
    """
    from skvae.datasets import make_noise, make_speech, mix_at_snr

    rng = np.random.default_rng(seed)
    n_samples = _SECONDS * _SAMPLE_RATE
    clean = make_speech(n_samples, _SAMPLE_RATE, random_state=rng)
    noise = sum(
        make_noise(n_samples, kind, _SAMPLE_RATE, random_state=rng)
        for kind in ("pink", "machine", "wind")
    )
    noisy = mix_at_snr(clean, noise, snr, rng=rng)
    # Room below full scale: 16-bit files hold no more.
    scale = np.float32(0.9 / max(0.9, np.abs(noisy).max()))
    return clean * scale, noisy * scale


def _draw(noisy: np.ndarray, separation: Any, path: Path) -> str:
    try:
        import matplotlib
    except ImportError:
        return (
            'no picture: matplotlib is not installed (pip install "skvae[plot]" '
            "brings it)"
        )
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from skvae.plot import EnhancementDisplay

    EnhancementDisplay.from_separation(separation, sample_rate=_SAMPLE_RATE)
    pyplot.savefig(path, dpi=120)
    pyplot.close()
    return f"wrote {path}"


def _table(
    clean: np.ndarray, noisy: np.ndarray, enhanced: np.ndarray, model: str
) -> str:
    from skvae.metrics import get_metric

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
