"""Picture of the first page, drawn when the pages are built."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

from skvae import load_pretrained
from skvae.datasets import make_noise, make_speech, mix_at_snr

#: Path of the picture in the source folder. It is not committed.
PICTURE = Path("generated", "front.png")
N_SAMPLES = 48_000


def draw(path: Path) -> None:
    """Draw speech in machine noise: noisy, the mask of "best", and enhanced."""
    from matplotlib.figure import Figure

    from skvae.plot import MaskDisplay, SpectrogramDisplay

    speech = make_speech(N_SAMPLES, random_state=8)
    noise = make_noise(N_SAMPLES, "machine", random_state=0)
    noisy = mix_at_snr(speech, noise, 0.0)
    [separation] = load_pretrained("best").separate([noisy])
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    heard, masked, kept = figure.subplots(1, 3, sharey=True)
    levels = {"peak_db": 30, "dynamic_range": 60, "colorbar": False}
    SpectrogramDisplay.from_waveform(noisy, ax=heard, title="noisy", **levels)
    MaskDisplay.from_separation(separation, ax=masked, title="mask", colorbar=False)
    SpectrogramDisplay.from_waveform(
        separation.enhanced, ax=kept, title="enhanced", **levels
    )
    for ax in (heard, masked, kept):
        ax.label_outer()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def draw_once(app: Sphinx) -> None:
    """Draw the picture unless it exists."""
    path = Path(app.srcdir, PICTURE)
    if not path.exists():
        draw(path)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the drawing to the beginning of the build."""
    app.connect("builder-inited", draw_once)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
