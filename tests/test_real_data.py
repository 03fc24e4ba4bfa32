"""What holds of real recordings: speech and noise in the folder SKVAE_DATA names.

It has speech/valid and speech/train with a folder a speaker, and noise/train with a
folder an environment.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soxr
from sklearn.model_selection import GridSearchCV, GroupKFold

from skvae import (
    ISNMF,
    RPCA,
    GradientVEM,
    LogMMSE,
    SpectralSubtraction,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
    WienerFilter,
    evaluate,
    load_pretrained,
)
from skvae.datasets import find_audio, mix_at_snr
from skvae.metrics import mean_si_sdr, si_sdr

DATA = os.environ.get("SKVAE_DATA")
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA, reason="SKVAE_DATA does not say where real recordings are"
    ),
]
ENVIRONMENTS = ["dishes", "stream", "home_room", "washing_machine", "market"]


@pytest.fixture(scope="module")
def pairs():
    """Twelve utterances of different speakers at 0 and 5 dB."""
    rng = np.random.default_rng(0)
    folders = sorted(path for path in Path(DATA, "speech/valid").iterdir())
    noisy, clean, speakers = [], [], []
    for k, folder in enumerate(folders[:12]):
        speech = np.asarray(find_audio(folder)[0])
        environment = Path(DATA, "noise/train", ENVIRONMENTS[k % len(ENVIRONMENTS)])
        noise = find_audio(environment)[0]
        noisy.append(mix_at_snr(speech, noise, snr=5 * (k % 2), rng=rng))
        clean.append(speech)
        speakers.append(folder.name)
    return noisy, clean, speakers


@pytest.fixture(scope="module")
def speech():
    """A few minutes of speech of many readers, as files that read themselves."""
    return find_audio(Path(DATA, "speech/train"))[::16]


@pytest.mark.parametrize(
    ("enhancer", "gain"),
    [
        (SpectralSubtraction(), 4.0),
        (WienerFilter(), 4.0),
        (LogMMSE(), 4.0),
        (RPCA(), 1.5),
    ],
)
def test_methods_without_training_gain_on_real_noise(pairs, enhancer, gain):
    noisy, clean, _ = pairs
    score = enhancer.fit(noisy).score(noisy, clean)
    assert score > mean_si_sdr(clean, noisy) + gain


def test_a_dictionary_of_real_speech_gains_on_real_noise(pairs, speech):
    noisy, clean, _ = pairs
    enhancer = ISNMF(max_iter=30, max_frames=10_000, random_state=0).fit(speech)
    assert enhancer.score(noisy, clean) > mean_si_sdr(clean, noisy) + 2


def test_a_small_speech_model_gains_on_real_noise(pairs, speech):
    noisy, clean = (part[:6] for part in pairs[:2])
    model = SpeechVAE(16, 64, training=Training(12, learning_rate=3e-3))
    enhancer = VAENMFEnhancer(model, GradientVEM(60), random_state=0).fit(speech[::2])
    score = enhancer.score(noisy, clean)
    assert score > mean_si_sdr(clean, noisy) + 4


def test_scores_of_real_pairs_are_defined_and_better_after_than_before(pairs):
    noisy, clean, speakers = pairs
    info = {"speaker": speakers}
    metrics = ["si_sdr", "sdr", "stoi", "estoi"]
    before = evaluate(None, noisy, clean, metrics, info=info)
    after = evaluate(LogMMSE().fit(noisy), noisy, clean, metrics, info=info)
    assert before[metrics].notna().all(axis=None)
    assert after[metrics].notna().all(axis=None)
    assert (after["si_sdr"] > before["si_sdr"]).mean() > 0.9
    assert after["estoi"].mean() > before["estoi"].mean()


def test_a_search_with_speakers_as_groups_prefers_over_subtraction(pairs):
    noisy, clean, speakers = pairs
    search = GridSearchCV(
        SpectralSubtraction(),
        {"over_subtraction": [0.5, 3.0]},
        cv=GroupKFold(3),
        error_score="raise",
    )
    search.fit(noisy, clean, groups=speakers)
    assert search.best_params_ == {"over_subtraction": 3.0}


@pytest.mark.parametrize(("name", "least_gain"), [("vae-nmf", 6.0), ("best", 8.0)])
def test_models_of_the_package_enhance_voices_that_they_have_not_heard(
    pairs, name, least_gain
):
    noisy, clean, _ = (part[:6] for part in pairs)
    gain = load_pretrained(name).score(noisy, clean) - mean_si_sdr(clean, noisy)
    assert gain > least_gain


@pytest.mark.parametrize("name", ["vae-nmf", "best"])
def test_models_of_the_package_enhance_what_telephones_leave(pairs, name):
    noisy, clean = ([np.asarray(x) for x in part[:6]] for part in pairs[:2])
    noisy_8k, clean_8k = (
        [soxr.resample(x, 16000, 8000) for x in part] for part in (noisy, clean)
    )
    model = load_pretrained(name)
    of_whole, of_narrow = (
        [soxr.resample(x, 16000, 8000) for x in model.transform(seen)]
        for seen in (noisy, [soxr.resample(x, 8000, 16000) for x in noisy_8k])
    )
    scores = [
        np.mean(
            [
                si_sdr(x[: len(y)], y[: len(x)])
                for x, y in zip(clean_8k, found, strict=True)
            ]
        )
        for found in (of_whole, of_narrow)
    ]
    assert scores[1] > scores[0] - 1.5
