"""Pictures of the page on the architecture, drawn when the pages are built.

Each picture is drawn twice, for the light and for the dark theme of the pages. Sizes
are in pixels of the page. A text that does not fit into its box is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Folder of the pictures in the source folder. They are not committed.
FOLDER = Path("generated")
#: Width of all pictures. A phone shows them at two thirds of it.
WIDTH = 720
#: Pixels in an inch, as browsers count.
DPI = 96
#: Sizes of letters and distances of lines.
TITLE, BODY, LEADING = 17.5, 16.0, 21.0

#: Colors by theme and role: of the border, and of the area.
THEMES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "light": {
        "text": ("#1f2933", "#1f2933"),
        "faint": ("#52606d", "#52606d"),
        "plain": ("#9aa5b1", "#f3f5f7"),
        "data": ("#9aa5b1", "#ffffff"),
        "speech": ("#2a6fb0", "#e3effa"),
        "noise": ("#b3541e", "#fbeade"),
        "inference": ("#2f7d4f", "#e2f3e8"),
        "guide": ("#7a4fa3", "#f0e8f8"),
    },
    "dark": {
        "text": ("#e4e7eb", "#e4e7eb"),
        "faint": ("#a9b4c0", "#a9b4c0"),
        "plain": ("#616e7c", "#222b36"),
        "data": ("#616e7c", "#14181e"),
        "speech": ("#5fa3e0", "#18324a"),
        "noise": ("#e0854f", "#472a18"),
        "inference": ("#5fb883", "#173a26"),
        "guide": ("#b08ad8", "#33244a"),
    },
}

#: What a box contains: lines, of which those that start with "=" are in bold type and
#: those that start with "`" are code.
Lines = Sequence[str]


class Picture:
    """Boxes and arrows on a page of a given height.

    Parameters
    ----------
    height : float
        Height in pixels.
    theme : str
        Key of :data:`THEMES`.
    """

    def __init__(self, height: float, theme: str):
        from matplotlib.figure import Figure

        self.colors = THEMES[theme]
        self.figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI)
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.set_xlim(0, WIDTH)
        self.ax.set_ylim(height, 0)
        self.ax.axis("off")
        self._texts: list[tuple[Any, tuple[float, float, float, float]]] = []

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        lines: Lines = (),
        role: str = "plain",
        *,
        dashed: bool = False,
    ) -> None:
        """Draw a box with lines of text in its middle."""
        from matplotlib.patches import FancyBboxPatch

        edge, face = self.colors[role]
        self.ax.add_patch(
            FancyBboxPatch(
                (x + 1, y + 1),
                width - 2,
                height - 2,
                boxstyle="round,pad=0,rounding_size=7",
                edgecolor=edge,
                facecolor="none" if dashed else face,
                linestyle=(0, (4, 3)) if dashed else "-",
                linewidth=1.1,
            )
        )
        top = y + (height - LEADING * len(lines)) / 2
        for k, line in enumerate(lines):
            middle = top + LEADING * (k + 0.5)
            self._text(x + width / 2, middle, line, "center", (x, y, width, height))

    def note(
        self,
        x: float,
        y: float,
        line: str,
        align: str = "left",
        *,
        upwards: bool = False,
    ) -> None:
        """Write a line beside an arrow, around the height `y`."""
        left = x if align == "left" else 0
        bounds = (left, y - 12, WIDTH - left, 24)
        if upwards:
            align, bounds = "center", (x - 12, y - 40, 24, 80)
        self._text(x, y, line, align, bounds, faint=True, upwards=upwards)

    def arrow(
        self, *points: tuple[float, float], role: str = "faint", both: bool = False
    ) -> None:
        """Draw an arrow along straight lines, with a head at its end, or at both."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path as Line

        self.ax.add_patch(
            FancyArrowPatch(
                path=Line(points),
                arrowstyle="<|-|>" if both else "-|>",
                mutation_scale=11,
                linewidth=1.3,
                color=self.colors[role][0],
                shrinkA=0,
                shrinkB=0,
                joinstyle="miter",
                capstyle="butt",
            )
        )

    def _text(
        self,
        x: float,
        y: float,
        line: str,
        align: str,
        bounds: tuple[float, float, float, float],
        faint: bool = False,
        upwards: bool = False,
    ) -> None:
        is_title, is_code = line.startswith("="), line.startswith("`")
        color = self.colors["faint" if faint else "text"][0]
        text = self.ax.text(
            x,
            y,
            line.lstrip("=`"),
            ha=align,
            va="center" if upwards else "center_baseline",
            rotation=90 if upwards else 0,
            fontsize=(TITLE if is_title else BODY - is_code) * 72 / DPI,
            fontweight="bold" if is_title else "normal",
            family="DejaVu Sans Mono" if is_code else "DejaVu Sans",
            color=color,
        )
        self._texts.append((text, bounds))

    def save(self, path: Path) -> None:
        """Write the picture as SVG; raise a ValueError if a text does not fit."""
        from matplotlib import rc_context

        for text, (x, y, width, height) in self._texts:
            extent = text.get_window_extent().transformed(self.ax.transData.inverted())
            top, bottom = sorted((extent.y0, extent.y1))
            if (
                extent.x0 < x
                or extent.x1 > x + width
                or top < y - 3
                or bottom > y + height + 3
            ):
                raise ValueError(
                    f"{path.name}: {text.get_text()!r} is {extent.width:.0f} pixels "
                    f"wide, its box {width:.0f}."
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nothing in the file depends on the time or on chance.
        with rc_context({"svg.hashsalt": "skvae", "svg.fonttype": "path"}):
            self.figure.savefig(path, transparent=True, metadata={"Date": None})


def draw_parts(theme: str) -> Picture:
    """Draw what an enhancer consists of, and what all enhancers share."""
    picture = Picture(852, theme)
    box, arrow, note = picture.box, picture.arrow, picture.note

    face = "fit, transform, separate, score; subclasses define _estimate_mask"
    box(0, 0, 720, 72, ["=BaseEnhancer", face])
    families = [
        ("=classical", "gain rules and", "noise tracking"),
        ("=factorization", "NMF dictionary,", "robust PCA"),
        ("=masks", "networks that", "estimate a mask"),
        ("=vaenmf", "models of speech", "and noise"),
    ]
    for k, lines in enumerate(families):
        x = 184 * k
        box(x, 112, 168, 84, lines, "inference" if k == 3 else "plain")
        arrow((x + 84, 112), (x + 84, 72))

    box(0, 228, 720, 372, (), "inference", dashed=True)
    arrow((636, 228), (636, 196), role="inference")
    note(16, 250, "parts of an enhancer in vaenmf")
    box(16, 272, 216, 102, ["=guide", "any enhancer:", "a first guess"], "guide")
    models = ["SpeechVAE", "DenoisingVAE", "NoiseAwareVAE"]
    box(252, 272, 216, 102, ["=speech model", *models], "speech")
    noises = ["NMFNoise, FixedNoise", "SmoothNMFNoise", "and heavy tails"]
    box(488, 272, 216, 102, ["=noise model", *noises], "noise")
    for x, role in ((360, "speech"), (596, "noise")):
        arrow((x, 374), (x, 414), role=role)
    note(370, 393, "`speech_prior")
    note(606, 393, "`start")
    box(252, 414, 216, 62, ["=SpeechPrior", "variance, prior of z"], "data")
    box(488, 414, 216, 62, ["=Noise", "power, update, state"], "data")
    arrow((124, 374), (124, 445), (252, 445), role="guide")
    arrow((360, 476), (360, 516))
    arrow((596, 476), (596, 516))
    names = "VEM, GradientVEM, PointEM, Langevin, MCEM, MCMC"
    what = ["=inference", f"{names}: infer(V, prior, noise)"]
    box(16, 516, 688, 66, what, "inference")

    tools = [
        ("=signal", "STFT, spectrograms,", "blocks, bandwidth"),
        ("=training", "loop, batches,", "checkpoints"),
        ("=storage", "model files,", "recipes"),
        ("=evaluation", "scores, tables,", "comparisons"),
        ("=datasets", "corpora,", "mixing"),
        ("=metrics", "SI-SDR, SDR,", "PESQ, STOI"),
    ]
    note(0, 634, "shared by all")
    for k, lines in enumerate(tools):
        box(244 * (k % 3), 654 + 104 * (k // 3), 232, 92, lines)
    return picture


def draw_transform(theme: str) -> Picture:
    """Draw the path of one recording through `transform`."""
    picture = Picture(950, theme)
    box, arrow, note = picture.box, picture.arrow, picture.note
    left, width = 40, 290
    middle = left + width / 2

    box(left, 0, width, 44, ["waveform, file or Spectrogram"], "data")
    arrow((middle, 44), (middle, 92))
    note(middle + 12, 68, "`open_spectrograms")
    box(left, 92, width, 62, ["=Spectrogram", "reads its samples when asked"])
    arrow((middle, 154), (middle, 222))
    note(middle + 12, 182, "`Enhancement.blocks")

    box(0, 204, 370, 652, (), "plain", dashed=True)
    box(left, 222, width, 62, ["=BlockSpectra", "X of all channels"])
    arrow((middle, 284), (middle, 332))
    note(middle + 12, 308, "`power")
    box(left, 332, width, 62, ["=V = |X|²", "(N, F), mean of the channels"], "data")
    arrow((middle, 394), (middle, 442))
    box(left, 442, width, 62, ["`_estimate_mask", "the method"], "inference")
    arrow((middle, 504), (middle, 552))
    box(left, 552, width, 62, ["=MaskEstimate", "mask (N, F), state"], "data")
    arrow((left, 583), (28, 583), (28, 473), (left, 473))
    note(14, 528, "state", upwards=True)
    arrow((middle, 614), (middle, 662))
    note(middle + 12, 638, "limit, cross-fade")
    box(left, 662, width, 44, ["=mask of the block"], "data")
    arrow((middle, 706), (middle, 754))
    note(middle + 12, 730, "`masked")
    box(left, 754, width, 62, ["=masked spectra", "a few frames at a time"], "data")
    arrow((middle, 816), (middle, 904))
    note(middle + 12, 838, "for each block")
    note(middle + 12, 880, "`OverlapAdd.push")
    box(left, 904, width, 44, ["enhanced waveform"], "data")

    # Inside the method.
    x, w = 415, 290
    center = x + w / 2
    box(400, 204, 320, 652, (), "inference", dashed=True)
    arrow((left + width, 473), (400, 473), role="inference")
    note(center, 838, "a method in vaenmf", "center")
    box(x, 222, w, 62, ["=guide", "estimate_mask(V)"], "guide")
    arrow((center, 284), (center, 332))
    prior = ["=speech model", "speech_prior(V): SpeechPrior"]
    box(x, 332, w, 62, prior, "speech")
    arrow((center, 394), (center, 442))
    box(x, 442, w, 62, ["=noise model", "start(V, state): Noise"], "noise")
    arrow((center, 504), (center, 552))
    loop = [
        "=inference",
        "until max_iter or tol:",
        "1. move z",
        "2. update the noise",
        "3. update the gain",
        "4. add the cost",
    ]
    box(x, 552, w, 154, loop, "inference")
    arrow((center, 706), (center, 754))
    gain = ["=mean Wiener gain", "and the mask of the guide"]
    box(x, 754, w, 62, gain, "data")
    return picture


def draw_fit(theme: str) -> Picture:
    """Draw the path of the data through `fit`."""
    picture = Picture(924, theme)
    box, arrow, note = picture.box, picture.arrow, picture.note

    box(215, 0, 290, 44, ["X and, if given, y"], "data")
    arrow((360, 44), (360, 92))
    note(372, 68, "`read_collection")
    box(215, 92, 290, 62, ["=spectrograms", "noisy and clean, or clean"])
    note(518, 123, "sets stft_ and seed_")
    arrow((360, 154), (360, 180), (84, 180), (84, 208))
    arrow((360, 154), (360, 180), (268, 180), (268, 208))
    arrow((360, 154), (360, 180), (544, 180), (544, 208))
    note(556, 176, "`_fit")

    spectra = ["=classical,", "=factorization", "spectra"]
    box(0, 208, 168, 84, spectra)
    box(184, 208, 168, 84, ["=vaenmf", "parts: cloned and", "fitted, or frozen"])
    box(392, 208, 328, 84, ["=masks, speech models", "a network"], "speech")
    arrow((352, 250), (392, 250))
    arrow((84, 292), (84, 750))
    arrow((268, 292), (268, 320), (84, 320), (84, 750))

    box(392, 316, 328, 402, (), "speech", dashed=True)
    arrow((544, 292), (544, 338))
    box(408, 338, 272, 62, ["=split", "to train on, to validate on"])
    arrow((544, 400), (544, 428))
    box(408, 428, 272, 62, ["=batches", "shuffled, at random levels"], "data")
    arrow((544, 490), (544, 518))
    box(408, 518, 272, 62, ["=steps", "loss, gradient, Adam"])
    arrow((544, 580), (544, 608))
    box(408, 608, 272, 62, ["=validation", "best weights, early stop"])
    arrow((680, 639), (694, 639), (694, 459), (680, 459))
    note(707, 549, "epoch", upwards=True)
    note(556, 694, "`train")
    arrow((544, 670), (544, 750))

    box(136, 428, 216, 62, ["=Mixer", "clean speech plus noise"], "noise")
    arrow((352, 459), (408, 459), role="noise")
    box(136, 608, 216, 62, ["=Checkpoint", "one after each epoch"], "data")
    arrow((352, 639), (408, 639), both=True)

    learned = ["=learned attributes", "numbers and arrays, declared in _learned"]
    box(0, 750, 720, 62, learned, "data")
    arrow((360, 812), (360, 860))
    note(372, 836, "`save_pretrained")
    box(215, 860, 290, 62, ["=model file", "safetensors: numbers and text"])
    return picture


PICTURES: Mapping[str, Callable[[str], Picture]] = {
    "parts": draw_parts,
    "transform": draw_transform,
    "fit": draw_fit,
}


def draw_all(app: Sphinx) -> None:
    """Draw all pictures for all themes."""
    for name, draw in PICTURES.items():
        for theme in THEMES:
            draw(theme).save(Path(app.srcdir, FOLDER, f"{name}-{theme}.svg"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the drawing to the beginning of the build."""
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
