"""
Scale out: jobs, joblib and dask
================================

Enhancers work on one utterance with one thread, and on several utterances side by side.
How many, and where, is joblib's affair: processes or threads of this machine, or the
machines of a cluster. What comes out is the same, bit by bit.
"""

# %%
# One parameter
# -------------
#
# ``n_jobs`` works as everywhere in scikit-learn: a number, or -1 for all cores.

from time import perf_counter

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_score

from skvae import LogMMSE
from skvae.datasets import make_dataset

noisy, clean = make_dataset(24, duration=(2.0, 3.0), snr=0, random_state=0)
enhancer = LogMMSE().fit(noisy)
times, enhanced = {}, {}


def measure(name, function):
    """Keep what a function returns, and how long it took."""
    begin = perf_counter()
    enhanced[name] = function()
    times[name] = perf_counter() - begin


measure("1 job", lambda: enhancer.transform(noisy))
enhancer.set_params(n_jobs=2)
measure("2 processes, started", lambda: enhancer.transform(noisy))
measure("2 processes, again", lambda: enhancer.transform(noisy))

# %%
# Another backend
# ---------------
#
# ``parallel_config`` chooses for everything inside. Threads share memory and start at
# once; NumPy and PyTorch let go of Python's lock while they compute.

with joblib.parallel_config("threading"):
    measure("2 threads", lambda: enhancer.transform(noisy))

# %%
# Dask
# ----
#
# With a ``Client`` there is a backend "dask". Here it is a scheduler inside this very
# process; with the address of a cluster, ``Client("tcp://...:8786")``, the same lines
# send the utterances to other machines. A list of ``AudioFile`` holds no audio, so that
# only names travel, where all machines see the same files.

try:
    from distributed import Client
except ImportError:
    print("dask is not installed: pip install distributed")
else:
    with (
        Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ),
        joblib.parallel_config("dask"),
    ):
        measure("dask", lambda: enhancer.transform(noisy))

# %%
# The same, to the bit
# --------------------

for name, waveforms in enhanced.items():
    same = all(map(np.array_equal, waveforms, enhanced["1 job"]))
    print(f"{name:22}{'identical' if same else 'DIFFERENT'}")

# %%
# Each utterance starts a random generator of its own from the enhancer's ``seed_``, so
# that this is true for methods that draw random numbers too.
#
# And the time?

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.barh(list(times)[::-1], list(times.values())[::-1], color="#0072B2")
label = ax.set_xlabel("seconds for 24 utterances")

# %%
# The bars are those of the machine that made this page, which may have a single free
# core. Processes take seconds to start, once: that pays for folders, not for sentences.
#
# Where to put the jobs
# ---------------------
#
# A search has many fits, an evaluation many utterances, and an enhancer many as well.
# Put the jobs outside, where the work is, and leave ``n_jobs=None`` inside. A backend
# applies there too.

enhancer.set_params(n_jobs=None)
with joblib.parallel_config("threading", n_jobs=2):
    scores = cross_val_score(enhancer, noisy, clean, cv=4)
print(scores.round(1))

# %%
# On a GPU it is the other way round: ``VAENMFEnhancer(device="cuda")`` enhances
# utterances in padded batches, and one process is enough.
