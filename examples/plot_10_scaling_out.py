"""
Parallel computing with joblib and dask
=======================================

Enhancers use one thread per utterance, and enhance several utterances in parallel.
joblib determines how many and where: in processes or threads of this machine, or on the
machines of a cluster. The results are identical, bit for bit.
"""

# %%
# Number of jobs
# --------------
#
# ``n_jobs`` works as in scikit-learn: it is the number of jobs, or -1 for all cores.

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
    """Store the result of a function and its duration."""
    begin = perf_counter()
    enhanced[name] = function()
    times[name] = perf_counter() - begin


measure("1 job", lambda: enhancer.transform(noisy))
enhancer.set_params(n_jobs=2)
measure("2 processes, started", lambda: enhancer.transform(noisy))
measure("2 processes, again", lambda: enhancer.transform(noisy))

# %%
# Backends
# --------
#
# ``parallel_config`` selects the backend for all calls in its context. Threads share
# memory and start immediately. NumPy and PyTorch release Python's global interpreter
# lock while they compute.

with joblib.parallel_config("threading"):
    measure("2 threads", lambda: enhancer.transform(noisy))

# %%
# Dask
# ----
#
# With a ``Client``, the backend "dask" is available. In this example, the scheduler
# runs inside this process. With the address of a cluster, ``Client("tcp://...:8786")``,
# the same lines send the utterances to other machines. A list of ``AudioFile`` contains
# no audio, so only file names are sent; all machines must have access to the files.

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
# Reproducibility
# ---------------

for name, waveforms in enhanced.items():
    same = all(map(np.array_equal, waveforms, enhanced["1 job"]))
    print(f"{name:22}{'identical' if same else 'DIFFERENT'}")

# %%
# The results are also identical for methods that draw random numbers, because each
# utterance has its own generator, which is seeded with the enhancer's ``seed_``.
#
# Time
# ----

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.barh(list(times)[::-1], list(times.values())[::-1], color="#0072B2")
label = ax.set_xlabel("seconds for 24 utterances")

# %%
# The times depend on the machine that built this page, which may have a single free
# core. Starting processes takes some seconds once, so they are worthwhile for folders,
# not for single sentences.
#
# Nested parallelism
# ------------------
#
# A search consists of many fits, an evaluation of many utterances, and so does the work
# of an enhancer. Set the jobs at the outermost level, and leave ``n_jobs=None`` inside.
# The backend applies to the outermost level as well.

enhancer.set_params(n_jobs=None)
with joblib.parallel_config("threading", n_jobs=2):
    scores = cross_val_score(enhancer, noisy, clean, cv=4)
print(scores.round(1))

# %%
# On a GPU, one process is sufficient: ``VAENMFEnhancer(device="cuda")`` enhances
# utterances in padded batches.
