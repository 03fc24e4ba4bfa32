"""
Training of a mask network with dynamic mixing
==============================================

A mask network learns from pairs of noisy and clean speech. The pairs can be mixed once
before training, or again in every epoch (*dynamic mixing*), which costs little time.
This example trains the same network both ways and compares the results.
"""

# %%
# Mixer
# -----
#
# ``fit(noisy, clean)`` uses the given pairs. ``fit(clean)`` mixes its own pairs. The
# parameter ``mixer`` determines the noises and the signal-to-noise ratios, and whether
# speech and noise are modified at random (``augment``).

import matplotlib.pyplot as plt

from skvae import BiLSTMMask, Training, evaluate
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
# These are three mixtures of the same utterance:

fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for seed, ax in enumerate(axes):
    mixture, _ = mixer.mix(clean[3], rng=seed)
    display = SpectrogramDisplay.from_waveform(
        mixture, ax=ax, title=f"mixture {seed + 1}", colorbar=False
    )
    ax.label_outer()

# %%
# The sentence is the same, but the noise, the level, the speed and the equalization
# differ. A signal that was slowed down has no energy at the highest frequencies, so the
# top of its spectrogram is black.
#
# Training
# --------
#
# Both networks have the same size and the same number of training steps. The first
# network gets pairs that were mixed once. ``n_combinations=1`` uses the pairs as they
# are.

training = Training(
    max_iter=60,
    batch_size=3,
    n_combinations=1,
    learning_rate=1e-2,
    averaging=0.9,
    n_iter_no_change=60,
    validation_fraction=0.25,
)
settings = {"hidden_layer_sizes": 64, "training": training, "random_state": 0}
fixed = BiLSTMMask(**settings).fit(*mixer.pairs(clean))
dynamic = BiLSTMMask(mixer=mixer, **settings).fit(clean)

fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
displays = [
    ConvergenceDisplay.from_estimator(network, ax=ax, title=title)
    for network, ax, title in [
        (fixed, axes[0], "mixed once"),
        (dynamic, axes[1], "dynamic mixing"),
    ]
]
axes[1].label_outer()

# %%
# On the left, the training and validation losses diverge: the network overfits its six
# mixtures. On the right, both losses stay together. The training loss
# fluctuates because every epoch has other mixtures.
#
# Test
# ----
#
# The test uses new speakers, with new signals of the same six kinds of noise.

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
        ("dynamic mixing", dynamic),
    ]
}
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
EvaluationDisplay.from_tables(tables, ax=axes[0])
display = EvaluationDisplay.from_tables(tables, ax=axes[1], kind="difference")

# %%
# Both networks were trained on the same sentences with the same number of steps. The
# network with fixed pairs generalizes poorly; the network with dynamic mixing
# generalizes well.

worst = tables["mixed once"]["si_sdr"].idxmin()
waveforms = {
    "noisy": test_noisy[worst],
    "mixed once": fixed.transform([test_noisy[worst]])[0],
    "dynamic mixing": dynamic.transform([test_noisy[worst]])[0],
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
# This is the sentence with the worst result of the first network. After a training of
# some seconds, neither result is good, but the second contains more speech than noise.

AudioPlayer(waveforms)
