"""
Grid search with speakers as groups
===================================

Enhancers work in ``GridSearchCV`` without changes. ``X`` is the noisy speech, ``y`` the
clean speech, and ``score`` the mean SI-SDR. However, utterances of the same speaker are
similar. If they are split between the training and the test part, the search favors
models that overfit these speakers. Groups avoid this.
"""

# %%
# Data
# ----
#
# There are six speakers with three utterances each. Every call of ``make_speech``
# synthesizes a new voice, so the utterances of a speaker are parts of one signal.

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
# Search
# ------
#
# ISNMF learns a dictionary of speech. The search determines the numbers of spectra for
# speech and for noise. ``fit`` gets the ``groups``, and ``GroupKFold`` keeps all
# utterances of a speaker in the same part. ``error_score="raise"`` is necessary because
# scikit-learn otherwise replaces errors by NaN.

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
    color = "white" if score < middle else "black"
    ax.text(column, row, f"{score:.1f}", ha="center", va="center", color=color)
ax.set(xlabel="spectra of noise", ylabel="spectra of speech")
ax.set(xticks=range(scores.shape[1]), xticklabels=scores.columns)
ax.set(yticks=range(scores.shape[0]), yticklabels=scores.index)
colorbar = fig.colorbar(image, label="SI-SDR on other speakers (dB)")
print(search.best_params_)

# %%
# Four spectra are too few for speech; more than sixteen make little difference. The
# search fits the best enhancer again on all data, and can be used as an enhancer
# itself.

enhanced = search.transform(noisy[:1])

# %%
# Effect of the groups
# --------------------
#
# In the figure, each row is a fold and each column an utterance, sorted by speaker.
# Blue utterances are in the training part. The other utterances are in the test part;
# orange ones have a speaker who is also in the training part.

splits = {
    "KFold, shuffled": KFold(3, shuffle=True, random_state=0).split(noisy),
    "GroupKFold": GroupKFold(3).split(noisy, groups=speakers),
}
colors = ListedColormap(["#0072B2", "#E69F00", "#F0E442"])
fig, axes = plt.subplots(2, 1, figsize=(8, 4), sharex=True, layout="constrained")
for ax, (name, folds) in zip(axes, splits.items(), strict=True):
    picture = np.zeros((3, len(noisy)))
    for row, (train, test) in zip(picture, folds, strict=True):
        trained = {speakers[k] for k in train}
        row[test] = [1 if speakers[k] in trained else 2 for k in test]
    ax.pcolormesh(picture, cmap=colors, vmin=0, vmax=2, edgecolors="white")
    ax.set(title=name, ylabel="fold", yticks=np.arange(3) + 0.5, yticklabels="123")
middles = np.arange(6) * 3 + 1.5
labels = axes[1].set_xticks(middles, sorted(set(speakers)))
parts = ["training", "test, known speaker", "test, new speaker"]
patches = [Patch(color=colors(k), label=part) for k, part in enumerate(parts)]
legend = fig.legend(handles=patches, loc="outside lower center", ncols=3)

# %%
# With ``KFold``, all test utterances have a known speaker, so the result of the search
# may apply to these speakers only. With ``GroupKFold``, all test speakers are new.
#
# Pipelines
# ---------
#
# In a pipeline with ``STFT`` and ``ISTFT``, the enhancer gets spectrograms, and the
# search can include the parameters of the STFT. It can also replace whole steps.

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
# A speech model does not have to be trained again for every candidate:
# ``VAENMFEnhancer(FrozenEstimator(vae))`` uses a trained model. Then the search covers
# only the parameters of the inference. To maximize another metric than SI-SDR, pass
# ``scoring=make_enhancement_scorer("estoi")``.
