"""Content of figures and sounds, not their appearance."""

from __future__ import annotations

import base64
import io
import re
import wave

import numpy as np
import pandas
import pytest
from helpers.instances import public_estimators, small

from skvae import (
    ISNMF,
    STFT,
    SpectralSubtraction,
    SpeechVAE,
    VAENMFEnhancer,
    WienerFilter,
    compare,
)
from skvae.datasets import make_dataset
from skvae.enhancement import Separation

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib.colors import to_rgb  # noqa: E402

from skvae.plot import (  # noqa: E402
    AudioPlayer,
    ConvergenceDisplay,
    EnhancementDisplay,
    EvaluationDisplay,
    MaskDisplay,
    SpectrogramDisplay,
)
from skvae.plot.style import COLORS, LINES, MARKERS  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def noisy():
    return make_dataset(1, duration=(1.0, 1.0), random_state=0)[0]


@pytest.fixture
def separation(noisy):
    return WienerFilter().fit(noisy).separate(noisy)[0]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Spectrograms and masks


def test_a_tone_is_drawn_at_its_frequency():
    tone = np.sin(2 * np.pi * 3000 / 16000 * np.arange(16000))
    display = SpectrogramDisplay.from_waveform(tone)
    image = np.asarray(display.image_.get_array())
    assert image[:, 30].argmax() / 512 * 8 == pytest.approx(3, abs=0.02)
    assert display.image_.get_extent() == [0, 1, 0, 8]


def test_the_loudest_bin_is_the_brightest_color(noisy):
    display = SpectrogramDisplay.from_waveform(noisy[0])
    low, high = display.image_.get_clim()
    assert high == pytest.approx(display.power_db.max())
    assert high - low == pytest.approx(70)


def test_axes_that_are_given_are_used(noisy):
    figure, ax = matplotlib.pyplot.subplots()
    display = SpectrogramDisplay.from_waveform(noisy[0], ax=ax, title="noisy")
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.get_title() == "noisy"


@pytest.mark.parametrize("colorbar", [False, True])
def test_a_colorbar_says_what_the_colors_mean_unless_it_is_not_wanted(noisy, colorbar):
    display = SpectrogramDisplay.from_waveform(noisy[0], colorbar=colorbar)
    others = [ax for ax in display.figure_.axes if ax is not display.ax_]
    assert [ax.get_ylabel() for ax in others] == ["power (dB)"] * colorbar


def test_silence_can_be_drawn():
    SpectrogramDisplay.from_waveform(np.zeros(2000))
    SpectrogramDisplay.from_power(np.zeros((3, 513)))


def test_power_of_a_spectrogram_is_drawn_as_the_spectrogram(noisy):
    stft = STFT(512, sample_rate=8000)
    [spectrogram] = stft.fit_transform([noisy[0].astype(np.float64)])
    wanted = SpectrogramDisplay.from_spectrogram(spectrogram)
    power = np.abs(spectrogram.frames()) ** 2
    display = SpectrogramDisplay.from_power(power, stft=stft)
    np.testing.assert_allclose(display.power_db, wanted.power_db)
    assert display.sample_rate == 8000
    assert display.duration == pytest.approx(wanted.duration, abs=0.04)


@pytest.mark.parametrize("shape", [(513,), (4, 512), (513, 4), (1, 4, 513)])
def test_power_of_a_wrong_shape_is_an_error(shape):
    with pytest.raises(ValueError, match=r"`power` must have shape \(n_frames, 513\)"):
        SpectrogramDisplay.from_power(np.ones(shape))


def test_a_mask_has_the_same_colors_for_all_masks(separation):
    display = MaskDisplay.from_separation(separation, sample_rate=8000)
    np.testing.assert_array_equal(display.image_.get_array(), separation.mask)
    assert display.image_.get_clim() == (0, 1)
    assert display.image_.get_extent() == [0, 2, 0, 4]


@pytest.mark.parametrize("largest", [0.0, 0.02])
def test_the_brightest_color_of_a_spread_is_its_largest_value(separation, largest):
    std = np.linspace(0, largest, separation.mask.size).reshape(separation.mask.shape)
    doubtful = Separation(separation.enhanced, separation.noise, separation.mask, std)
    display = MaskDisplay.from_separation(doubtful, spread=True)
    np.testing.assert_array_equal(display.image_.get_array(), std)
    low, high = display.image_.get_clim()
    assert (low, high) == (0, largest or 1.0)


def test_a_method_without_posterior_has_no_spread_to_draw(separation):
    with pytest.raises(ValueError, match="`separation` must have a `mask_std`"):
        MaskDisplay.from_separation(separation, spread=True)


# Enhancements


@pytest.mark.parametrize("spectral", [False, True])
def test_an_enhancement_shows_mask_noise_and_both_waveforms(noisy, spectral):
    utterances = STFT().fit_transform(noisy) if spectral else noisy
    enhancer = WienerFilter().fit(utterances)
    display = EnhancementDisplay.from_estimator(enhancer, utterances[0])
    [separation] = enhancer.separate(utterances)
    [image] = display.axes_["mask"].get_images()
    np.testing.assert_allclose(image.get_array(), separation.mask)
    limits = {
        display.axes_[name].get_images()[0].get_clim()
        for name in ("noisy", "enhanced", "noise")
    }
    assert len(limits) == 1
    line, enhanced = display.axes_["waveforms"].get_lines()
    np.testing.assert_allclose(line.get_ydata(), noisy[0], atol=1e-5)
    assert np.std(enhanced.get_ydata()) < np.std(line.get_ydata())


def test_two_enhancements_fit_into_one_figure(separation):
    figure = matplotlib.pyplot.figure(layout="constrained")
    for part, title in zip(figure.subfigures(1, 2), ["one", "two"], strict=True):
        display = EnhancementDisplay.from_separation(
            separation, figure=part, title=title
        )
        assert display.figure_ is part
    assert [part.get_suptitle() for part in figure.subfigs] == ["one", "two"]
    assert len(matplotlib.pyplot.get_fignums()) == 1


def test_what_cannot_separate_is_named():
    with pytest.raises(ValueError, match=r"`estimator` must be an enhancer.*got STFT"):
        EnhancementDisplay.from_estimator(STFT(), np.zeros(10))


# Convergence


def test_losses_are_drawn_over_their_epochs_and_the_kept_one_is_marked():
    vae = SpeechVAE()
    vae.n_iter_, vae.loss_curve_ = 3, [5.0, 4.0, 3.0]
    vae.validation_loss_curve_ = [6.0, 4.5, 4.75]
    display = ConvergenceDisplay.from_estimator(vae, title="speech")
    training, validation = display.lines_
    np.testing.assert_array_equal(training.get_xydata(), [[1, 5], [2, 4], [3, 3]])
    np.testing.assert_array_equal(validation.get_ydata(), vae.validation_loss_curve_)
    [kept] = [line for line in display.ax_.lines if line.get_label() == "kept"]
    np.testing.assert_array_equal(kept.get_xydata(), [[2, 4.5]])
    assert labels(display.ax_) == ["training", "validation", "kept"]
    assert all(tick == round(tick) for tick in display.ax_.get_xticks())


def test_a_loss_before_the_first_iteration_is_drawn_at_zero():
    speech = make_dataset(2, random_state=0)[1]
    enhancer = ISNMF(4, 2, max_iter=3, n_adapt_iter=4, random_state=0).fit(speech)
    [line] = ConvergenceDisplay.from_estimator(enhancer).lines_
    np.testing.assert_array_equal(line.get_xdata(), range(4))
    [separation] = enhancer.separate(speech[:1])
    [line] = ConvergenceDisplay.from_separation(separation).lines_
    np.testing.assert_array_equal(line.get_xdata(), range(5))
    np.testing.assert_array_equal(line.get_ydata(), separation.history)


def test_histories_are_told_apart_by_name_and_without_colors():
    mask = np.ones((3, 2))
    named = {
        name: Separation(None, None, mask, n_iter=2, history=[2.0, 1.0])
        for name in ("one", "two", "three")
    }
    display = ConvergenceDisplay.from_separation(named)
    assert labels(display.ax_) == list(named)
    assert len({line.get_linestyle() for line in display.lines_}) == 3


@pytest.mark.parametrize("estimator", [SpeechVAE(), WienerFilter(), "vae"])
def test_what_has_no_losses_is_named(estimator):
    with pytest.raises(ValueError, match="`estimator` must be fitted and have a"):
        ConvergenceDisplay.from_estimator(estimator)


@pytest.mark.parametrize("several", [False, True])
def test_what_has_no_history_is_named(separation, several):
    given = {"Wiener": separation} if several else separation
    with pytest.raises(ValueError, match="`separation` must have a history"):
        ConvergenceDisplay.from_separation(given)


# Evaluations


def tables(n=12, seed=0):
    rng = np.random.default_rng(seed)
    snr = np.repeat([-5, 10], n // 2)
    before = snr + rng.standard_normal(n)
    scores = {"noisy": before, "one": before + 3, "two": before + rng.normal(1, 2, n)}
    return {
        name: pandas.DataFrame({"snr": snr, "si_sdr": values})
        for name, values in scores.items()
    }


@pytest.mark.parametrize("kind", ["box", "violin", "difference"])
@pytest.mark.parametrize("by", [None, "snr"])
def test_all_kinds_are_drawn_with_and_without_groups(kind, by):
    display = EvaluationDisplay.from_tables(tables(), by=by, kind=kind)
    names = ["one", "two"] if kind == "difference" else ["noisy", "one", "two"]
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    if by is None:
        assert ticks == names
        assert display.ax_.get_legend() is None
    else:
        groups = ["\N{MINUS SIGN}5", "10"]
        assert ticks == ([*groups, "all"] if kind == "difference" else groups)
        assert labels(display.ax_) == names
        assert display.ax_.get_xlabel() == "SNR (dB)"


def test_boxes_have_the_medians_of_their_groups():
    given = tables()
    display = EvaluationDisplay.from_tables(given, by="snr")
    widest = [
        line.get_ydata()[0]
        for line in display.ax_.lines
        if line.get_linewidth() == 2 and len(line.get_ydata()) == 2
    ]
    wanted = [
        table.loc[table["snr"] == snr, "si_sdr"].median()
        for table in given.values()
        for snr in (-5, 10)
    ]
    np.testing.assert_allclose(widest, wanted)


@pytest.mark.parametrize("reference", [None, "two"])
def test_differences_are_those_of_compare(reference):
    given = tables()
    display = EvaluationDisplay.from_tables(
        given, by="snr", reference=reference, kind="difference"
    )
    base = reference or "noisy"
    assert display.ax_.get_ylabel() == f"SI-SDR (dB), difference from {base}"
    others = [name for name in given if name != base]
    assert labels(display.ax_) == others
    for name, container in zip(others, display.ax_.containers, strict=True):
        found = compare(given[name], given[base], "si_sdr", by="snr")
        found = found.iloc[[1, 2, 0]]  # the groups, then all
        line, _, [bars] = container.lines
        np.testing.assert_allclose(line.get_ydata(), found["difference"])
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends, found[["low", "high"]])


def test_a_difference_of_few_pairs_is_a_hollow_marker_without_an_interval():
    given = {name: table.drop(index=range(3)) for name, table in tables().items()}
    display = EvaluationDisplay.from_tables(given, by="snr", kind="difference")
    [hollow] = [
        line for line in display.ax_.lines if line.get_markerfacecolor() == "white"
    ][:1]
    found = compare(given["one"], given["noisy"], by="snr").iloc[1]
    assert found["note"] == "n too small"
    np.testing.assert_allclose(hollow.get_ydata(), [found["difference"]])
    # It covers the filled marker. The other groups have intervals, this one has none.
    filled, _, [bars] = display.ax_.containers[0].lines
    lengths = [len(segment) for segment in bars.get_segments()]
    assert lengths == [0, 2, 2]
    assert hollow.get_zorder() > filled.get_zorder()
    assert "fewer than 5 pairs" in display.ax_.texts[0].get_text()
    whole = EvaluationDisplay.from_tables(tables(), by="snr", kind="difference")
    assert not whole.ax_.texts


def test_a_method_keeps_its_color_and_the_reference_is_grey():
    display = EvaluationDisplay.from_tables(tables(), by="snr")
    handles = display.ax_.get_legend().get_patches()
    colors = [handle.get_facecolor()[:3] for handle in handles]
    assert len(set(colors[0])) == 1
    display.plot(kind="difference")
    drawn = [to_rgb(c.lines[0].get_color()) for c in display.ax_.containers]
    np.testing.assert_allclose(drawn, colors[1:])


def test_scores_that_are_missing_are_left_out():
    given = tables()
    given["one"].loc[given["one"]["snr"] == -5, "si_sdr"] = np.nan
    for kind in ("box", "violin", "difference"):
        EvaluationDisplay.from_tables(given, by="snr", kind=kind)


def test_estimators_are_evaluated_on_the_way():
    noisy, clean = make_dataset(4, random_state=0)
    estimators = {"noisy": None, "subtracted": SpectralSubtraction().fit(noisy)}
    display = EvaluationDisplay.from_estimators(
        estimators, noisy, clean, by="snr", info={"snr": [0, 0, 5, 5]}
    )
    assert list(display.tables) == list(estimators)
    scores = display.tables["subtracted"]["si_sdr"]
    assert scores.mean() == pytest.approx(estimators["subtracted"].score(noisy, clean))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"metric": "pesq"}, "`tables` must have the columns"),
        ({"by": "noise"}, "`tables` must have the columns"),
        ({"reference": "three"}, "`reference` must be one of"),
        ({"kind": "bar"}, "`kind` must be one of"),
    ],
)
def test_a_wrong_argument_of_an_evaluation_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        EvaluationDisplay.from_tables(tables(), **options)


def test_an_evaluation_needs_tables():
    with pytest.raises(ValueError, match="`tables` must hold at least one"):
        EvaluationDisplay.from_tables({})
    with pytest.raises(ValueError, match="`tables` must hold another table"):
        EvaluationDisplay.from_tables({"one": tables()["one"]}, kind="difference")


# Sounds


def read(file):
    with wave.open(io.BytesIO(file)) as opened:
        assert opened.getnchannels() == 1
        samples = np.frombuffer(opened.readframes(opened.getnframes()), "<i2")
        return samples / 32768, opened.getframerate()


def test_a_player_holds_the_sound_itself():
    waveform = np.sin(np.arange(800.0))
    page = AudioPlayer(waveform, sample_rate=8000, normalize=False)._repr_html_()
    [data] = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    samples, rate = read(base64.b64decode(data))
    assert rate == 8000
    np.testing.assert_allclose(samples, waveform, atol=1 / 32768)


def test_players_keep_their_loudness_relative_to_each_other():
    waveform = np.sin(np.arange(800.0))
    sounds = AudioPlayer({"soft": waveform / 1000, "loud": 3 * waveform}).to_wav()
    soft, loud = (read(file)[0] for file in sounds.values())
    assert np.abs(loud).max() == pytest.approx(0.9, abs=1e-3)
    assert np.abs(soft).max() == pytest.approx(0.9 / 3000, abs=1 / 32768)


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(5),
        np.array([2**14, -(2**15)], dtype=np.int16),
        np.ones(3, dtype=np.float32),
        [0.5, -0.5],
    ],
)
def test_any_waveform_can_be_played(waveform):
    [file] = AudioPlayer(waveform).to_wav().values()
    assert len(read(file)[0]) == len(waveform)


def test_what_is_too_loud_is_clipped_and_does_not_wrap_round():
    [file] = AudioPlayer(np.array([2.0, -2.0]), normalize=False).to_wav().values()
    np.testing.assert_allclose(read(file)[0], [1, -1], atol=1 / 32768)


def test_a_spectrogram_is_played_at_its_own_rate(noisy):
    [spectrogram] = STFT(sample_rate=8000).fit_transform(noisy)
    [file] = AudioPlayer(spectrogram).to_wav().values()
    samples, rate = read(file)
    assert (len(samples), rate) == (len(noisy[0]), 8000)


def test_names_are_shown_and_cannot_break_the_page():
    page = AudioPlayer({"<b>one</b>": np.ones(3), "two": np.ones(3)})._repr_html_()
    assert "&lt;b&gt;one&lt;/b&gt;" in page and "<b>" not in page
    assert page.count("<audio") == 2


def test_a_broken_waveform_is_named():
    with pytest.raises(ValueError, match="second must be finite"):
        AudioPlayer({"first": np.ones(2), "second": np.array([np.nan])}).to_wav()


# Notebooks


@pytest.mark.parametrize("cls", public_estimators(), ids=lambda cls: cls.__name__)
def test_an_estimator_shows_itself_in_a_notebook(cls):
    page = small(cls)._repr_html_()
    assert "<label" in page and cls.__name__ in page
    bundle = small(cls)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_an_estimator_in_an_estimator_is_shown_as_one():
    page = VAENMFEnhancer(SpeechVAE(n_latent=7))._repr_html_()
    assert "SpeechVAE" in page and "n_latent" in page


# Colors


def lightness(color):
    """Return the relative luminance, as in print."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_neighbouring_colors_differ_in_print():
    levels = np.array([lightness(color) for color in COLORS])
    assert np.abs(np.diff(levels)).min() > 0.05


def test_lines_and_points_of_one_color_differ():
    assert len(set(zip(COLORS * 3, LINES * 6, strict=False))) > len(COLORS)
    assert len(set(MARKERS)) == len(MARKERS) == 5
