"""
Train a mask with dynamic mixing
================================

A mask network learns from pairs of noisy and clean speech. They can be mixed once,
before training, or anew whenever an utterance comes up: *dynamic mixing*, which costs
nothing but some arithmetic. This page trains the same network both ways and looks at
what it has learned.
"""

# %%
# Two ways to fit
# ---------------
#
# ``fit(noisy, clean)`` takes the pairs that it gets. ``fit(clean)`` mixes for itself:
# ``mixer`` says with which noises, at which signal-to-noise ratios, and whether speech
# and noise are changed at random before (``augment``).

import matplotlib.pyplot as plt

from skvae import BiLSTMMask, evaluate
from skvae.datasets import Mixer, make_noise, make_speech, mix_at_snr
from skvae.plot import (
    AudioPlayer,
    ConvergenceDisplay,
    EvaluationDisplay,
    SpectrogramDisplay,
)

N_SAMPLES = 2 * 16_000
KINDS = ["pink", "machine", "wind", "water", "impacts", "engine"]
clean = [make_speech(N_SAMPLES, random_state=seed) for seed in range(8)]
noises = [make_noise(2 * N_SAMPLES, kind, random_state=0) for kind in KINDS]
mixer = Mixer(noises, snr=(-5, 10), augment=True, random_state=0)

# %%
# What a mixer makes of one utterance, three times:

fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for seed, ax in enumerate(axes):
    mixture, _ = mixer.mix(clean[3], rng=seed)
    display = SpectrogramDisplay.from_waveform(
        mixture, ax=ax, title=f"mixture {seed + 1}", colorbar=False
    )
    ax.label_outer()

# %%
# It is one sentence each time, but noise, level, tempo and colour are others. The black
# tops are no mistake: a recording that is slowed down has nothing there.
#
# Train twice
# -----------
#
# Two networks of one size, with the same number of steps. The first is given pairs that
# were mixed once; ``n_combinations=1`` keeps them as they are.

settings = {
    "hidden": 64,
    "n_layers": 1,
    "batch_size": 3,
    "max_iter": 60,
    "learning_rate": 1e-2,
    "averaging": 0.9,
    "n_iter_no_change": 60,
    "validation_fraction": 0.25,
    "random_state": 0,
}
fixed = BiLSTMMask(n_combinations=1, **settings).fit(*mixer.pairs(clean))
dynamic = BiLSTMMask(n_combinations=1, mixer=mixer, **settings).fit(clean)

fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
displays = [
    ConvergenceDisplay.from_estimator(network, ax=ax, title=title)
    for network, ax, title in [
        (fixed, axes[0], "mixed once"),
        (dynamic, axes[1], "mixed anew"),
    ]
]
axes[1].label_outer()

# %%
# On the left training and validation part: the network learns its six mixtures by
# heart, and the others gain little from it. On the right they stay together. That the
# training loss is restless there is a good sign: no two epochs see the same.
#
# Test
# ----
#
# On new speakers, in new stretches of the six kinds of noise.

test_clean = [make_speech(N_SAMPLES, random_state=1000 + k) for k in range(12)]
kinds = [KINDS[k % len(KINDS)] for k in range(12)]
test_noisy = [
    mix_at_snr(speech, make_noise(N_SAMPLES, kind, random_state=100 + k), snr=0.0)
    for k, (speech, kind) in enumerate(zip(test_clean, kinds, strict=True))
]
tables = {
    name: evaluate(network, test_noisy, test_clean, "si_sdr")
    for name, network in [
        ("noisy", None),
        ("mixed once", fixed),
        ("mixed anew", dynamic),
    ]
}
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
EvaluationDisplay.from_tables(tables, ax=axes[0])
display = EvaluationDisplay.from_tables(tables, ax=axes[1], kind="difference")

# %%
# Both had the same few sentences and the same number of steps. What was mixed once
# taught the network little that is of use elsewhere; mixed anew, the same material did.

worst = tables["mixed once"]["si_sdr"].idxmin()
waveforms = {
    "noisy": test_noisy[worst],
    "mixed once": fixed.transform([test_noisy[worst]])[0],
    "mixed anew": dynamic.transform([test_noisy[worst]])[0],
    "clean": test_clean[worst],
}
fig, axes = plt.subplots(
    2, 2, figsize=(10, 6), sharex=True, sharey=True, layout="constrained"
)
for ax, (title, waveform) in zip(axes.flat, waveforms.items(), strict=True):
    display = SpectrogramDisplay.from_waveform(
        waveform, ax=ax, title=title, peak_db=40, colorbar=False
    )
    ax.label_outer()

# %%
# This is the sentence on which the first network failed most. Neither result is good,
# after seconds of training; but the second at least has more speech than noise.

AudioPlayer(waveforms)
