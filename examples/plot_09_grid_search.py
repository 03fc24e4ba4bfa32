"""
Search parameters, with speakers as groups
==========================================

Enhancers go into ``GridSearchCV`` as they are: ``X`` is the noisy speech, ``y`` the
clean speech, and ``score`` is the mean SI-SDR. One thing is different from tables of
numbers: utterances of one speaker are alike. If some of them are in the training part
and some in the test part, the search rewards a model that has learned these voices by
heart.
"""

# %%
# Six speakers, three utterances each
# -----------------------------------
#
# Every call of ``make_speech`` makes up a voice, so that a speaker's utterances are cut
# from one recording.

import matplotlib.pyplot as plt
import numpy as np
import pandas
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import Pipeline

from skvae import ISNMF, ISTFT, STFT, LogMMSE
from skvae.datasets import Mixer, make_speech

LENGTH = 16_000  # samples of an utterance: a second
clean, speakers = [], []
for speaker in range(6):
    recording = make_speech(3 * LENGTH, random_state=speaker)
    clean += np.split(recording, 3)
    speakers += [f"speaker {speaker}"] * 3
mixer = Mixer(snr=[0, 5], random_state=0)  # synthetic noise of any kind
noisy, clean = mixer.pairs(clean)
print(len(noisy), "utterances;", speakers[1:5])

# %%
# The search
# ----------
#
# ISNMF learns a dictionary of speech. How many spectra should it have, for speech and
# for noise? ``groups`` goes to ``fit``; ``GroupKFold`` keeps each speaker on one side.
# ``error_score="raise"``, since scikit-learn otherwise turns errors into NaN.

grid = {"n_components": [4, 16, 64], "n_noise_components": [1, 8]}
enhancer = ISNMF(max_iter=15, n_adapt_iter=15, random_state=0)
search = GridSearchCV(enhancer, grid, cv=GroupKFold(3), error_score="raise")
search.fit(noisy, clean, groups=speakers)

# %%

results = pandas.DataFrame(search.cv_results_)
scores = results.pivot_table(
    "mean_test_score", "param_n_components", "param_n_noise_components"
)
fig, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
image = ax.imshow(scores, cmap="cividis", origin="lower")
middle = scores.to_numpy().mean()
for (row, column), score in np.ndenumerate(scores):
    colour = "white" if score < middle else "black"
    ax.text(column, row, f"{score:.1f}", ha="center", va="center", color=colour)
ax.set(xlabel="spectra of noise", ylabel="spectra of speech")
ax.set(xticks=range(scores.shape[1]), xticklabels=scores.columns)
ax.set(yticks=range(scores.shape[0]), yticklabels=scores.index)
colorbar = fig.colorbar(image, label="SI-SDR on other speakers (dB)")
print(search.best_params_)

# %%
# Four spectra are too few to describe speech; from sixteen on more of them hardly
# count. What fits into ``GridSearchCV`` goes on working: the best enhancer was fitted
# once more on everything, and the search itself enhances.

enhanced = search.transform(noisy[:1])

# %%
# What groups do
# --------------
#
# Each row below is a fold, each column an utterance, in the order of the speakers. Blue
# utterances are trained on. The others are tested on, and orange says that the training
# part has utterances of the same speaker.

splits = {
    "KFold, shuffled": KFold(3, shuffle=True, random_state=0).split(noisy),
    "GroupKFold": GroupKFold(3).split(noisy, groups=speakers),
}
colours = ListedColormap(["#0072B2", "#E69F00", "#F0E442"])
fig, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained")
for ax, (name, folds) in zip(axes, splits.items(), strict=True):
    picture = np.zeros((3, len(noisy)))
    for row, (train, test) in zip(picture, folds, strict=True):
        trained = {speakers[k] for k in train}
        row[test] = [1 if speakers[k] in trained else 2 for k in test]
    ax.pcolormesh(picture, cmap=colours, vmin=0, vmax=2, edgecolors="white")
    ax.set(title=name, ylabel="fold", yticks=np.arange(3) + 0.5, yticklabels="123")
middles = np.arange(6) * 3 + 1.5
labels = axes[1].set_xticks(middles, sorted(set(speakers)))
parts = ["trained on", "tested on, speaker is known", "tested on, speaker is new"]
patches = [Patch(color=colours(k), label=part) for k, part in enumerate(parts)]
legend = fig.legend(handles=patches, loc="outside lower center", ncols=3)

# %%
# With plain folds every test here is on a voice that is known. What such a search finds
# may be good for these voices only. With groups each test is on a new one.
#
# Parts of a pipeline
# -------------------
#
# Between ``STFT`` and ``ISTFT`` an enhancer gets spectrograms, and the analysis itself
# can be searched. Whole steps can be exchanged as well.

pipeline = Pipeline([("stft", STFT()), ("enhance", LogMMSE()), ("istft", ISTFT())])
search = GridSearchCV(
    pipeline,
    {"stft__n_fft": [256, 512, 1024, 2048], "enhance__smoothing": [0.9, 0.98]},
    cv=GroupKFold(3),
    error_score="raise",
)
search.fit(noisy, clean, groups=speakers)
pandas.DataFrame(search.cv_results_)[
    ["param_stft__n_fft", "param_enhance__smoothing", "mean_test_score"]
].round(2)

# %%
# A model of speech that takes long to train need not be trained again for every
# candidate: ``VAENMFEnhancer(FrozenEstimator(vae))`` uses it as it is, and only what is
# found anew for each utterance is searched. And to maximise something else than SI-SDR,
# pass ``scoring=make_enhancement_scorer("estoi")``.
