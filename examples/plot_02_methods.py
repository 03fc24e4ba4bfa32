"""
Comparison of all methods on one utterance
==========================================

This example applies eight enhancers, from 1979 to the present, to the same sentence in
the same noise: a steady machine and gusts of wind. The methods differ in their prior
knowledge:

* ``SpectralSubtraction``, ``WienerFilter`` and ``LogMMSE`` assume only that noise
  varies more slowly than speech.
* ``RPCA`` assumes that noise is repetitive and speech is sparse.
* ``ISNMF`` and ``VAENMFEnhancer`` learn a model of clean *speech* in training, and
  learn the noise from the mixture itself.
* ``DNNMask`` and ``BiLSTMMask`` learn from *mixtures* of speech and noise which bins to
  keep.
"""

# %%
# Data
# ----
#
# Every call of ``make_speech`` synthesizes another speaker. Neither the speaker of the
# test sentence nor this noise is in the training data.

import matplotlib.pyplot as plt
import pandas

from skvae import (
    ISNMF,
    MCEM,
    RPCA,
    BiLSTMMask,
    DNNMask,
    LogMMSE,
    SpectralSubtraction,
    SpeechVAE,
    Training,
    VAENMFEnhancer,
    WienerFilter,
    evaluate,
)
from skvae.datasets import make_noise, make_speech, mix_at_snr
from skvae.plot import AudioPlayer, MaskDisplay, SpectrogramDisplay

N_SAMPLES = 3 * 16_000
training_speech = [make_speech(N_SAMPLES, random_state=seed) for seed in range(24)]

clean = make_speech(N_SAMPLES, random_state=1003)
machine = make_noise(N_SAMPLES, "machine", random_state=1)
wind = make_noise(N_SAMPLES, "wind", random_state=2)
noisy = mix_at_snr(clean, machine + wind, snr=0.0)

# %%
# Methods
# -------
#
# The networks are small and are trained on about a minute of speech for a few epochs.
# This shows how they behave, but not their best quality. The mask networks get no
# recordings of noise, so they mix the speech with synthetic noise of all kinds, with
# new mixtures in every epoch.

speech_model = SpeechVAE(
    n_latent=8,
    hidden_layer_sizes=64,
    training=Training(max_iter=12, batch_size=32, learning_rate=3e-3),
)
few_steps = {"max_iter": 6, "batch_size": 2, "averaging": 0.9}
dense = DNNMask(
    hidden_layer_sizes=(64, 64),
    training=Training(learning_rate=3e-3, **few_steps),
    random_state=0,
)
recurrent = BiLSTMMask(
    hidden_layer_sizes=48,
    training=Training(learning_rate=5e-3, **few_steps),
    random_state=0,
)
methods = {
    "spectral subtraction": SpectralSubtraction(),
    "Wiener filter": WienerFilter(),
    "log-MMSE": LogMMSE(),
    "RPCA": RPCA(),
    "IS-NMF": ISNMF(random_state=0),
    "VAE-NMF": VAENMFEnhancer(speech_model, MCEM(30), random_state=0),
    "DNN mask": dense,
    "BiLSTM mask": recurrent,
}
separations = {}
for name, method in methods.items():
    [separations[name]] = method.fit(training_speech).separate([noisy])

# %%
# Masks
# -----

fig, axes = plt.subplots(
    5, 2, figsize=(10, 12), sharex=True, sharey=True, layout="constrained"
)
peak_db = 40
pictures = {"noisy": noisy, "clean": clean}
for ax, (name, waveform) in zip(axes[0], pictures.items(), strict=True):
    SpectrogramDisplay.from_waveform(
        waveform, ax=ax, title=name, peak_db=peak_db, colorbar=False
    )
for ax, (name, separation) in zip(axes[1:].flat, separations.items(), strict=True):
    mask = MaskDisplay.from_separation(separation, ax=ax, title=name, colorbar=False)
for ax in axes.flat:
    ax.label_outer()
colorbar = fig.colorbar(mask.image_, ax=axes[1:], label="gain", shrink=0.4)

# %%
# Compare the masks with the clean spectrogram above them.
#
# The first three masks are similar, because these methods share one noise estimate and
# differ only in their gain rules. Spectral subtraction leaves isolated dots everywhere;
# the Wiener filter leaves fewer. A low harmonic of the machine remains bright where the
# noise estimate is too low.
#
# RPCA keeps everything that is louder than its surroundings, and most of that is noise.
# IS-NMF combines whole spectra of its dictionary. It keeps the tones of the machine,
# because its sixteen spectra of vowels can explain them, too. The mask of VAE-NMF is
# smoother: bright at vowels and fricatives, and dark between the words.
#
# The masks of the networks depend on their training. The LSTM uses the whole sentence,
# the dense network eleven frames at a time.
#
# Sound
# -----

AudioPlayer(
    {
        "noisy": noisy,
        **{name: separation.enhanced for name, separation in separations.items()},
        "clean": clean,
    }
)

# %%
# Scores
# ------
#
# ``evaluate`` scores a fitted enhancer on any number of pairs. Here it is the pair that
# is plotted above.

table = pandas.concat(
    evaluate(method, [noisy], [clean], ["si_sdr", "estoi"])
    for method in [None, *methods.values()]
)
table.index = ["noisy", *methods]
table[["si_sdr", "estoi"]].round(2)

# %%
# These scores are not a ranking: they are from one sentence in one noise, and the
# networks were trained for some seconds. In nearly stationary noise, the simple methods
# are hard to beat. Methods with a speech model are better where the noise changes as
# fast as speech. The README has a table for recordings, with means over 80 mixtures.
