import pickle
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skvae import metrics
from skvae.metrics import METRICS, Metric, get_metric


def peak_error(clean, enhanced):
    return np.abs(clean - enhanced).max()


@pytest.mark.parametrize("name", METRICS)
def test_every_name_has_a_metric_with_the_same_signature(name, clean, noisy):
    if name.startswith("pesq"):
        pytest.importorskip("pesq")
    metric = get_metric(name)
    assert metric is METRICS[name] and metric.name == name
    assert metric(clean, noisy, 16000) < metric(clean, clean, sample_rate=16000)


def test_names_are_the_promised_ones():
    names = "si_sdr", "sdr", "pesq", "pesq_nb", "pesq_nb_raw", "stoi", "estoi"
    assert tuple(METRICS) == names


def test_names_stand_for_the_functions(clean, noisy):
    pytest.importorskip("pesq")
    for name, expected in {
        "si_sdr": metrics.si_sdr(clean, noisy),
        "sdr": metrics.sdr(clean, noisy),
        "pesq": metrics.pesq(clean, noisy, 16000, "wb"),
        "pesq_nb": metrics.pesq(clean, noisy, 16000, "nb"),
        "pesq_nb_raw": metrics.pesq(clean, noisy, 16000, "nb-raw"),
        "stoi": metrics.stoi(clean, noisy, 16000),
        "estoi": metrics.estoi(clean, noisy, 16000),
    }.items():
        assert METRICS[name](clean, noisy, 16000) == expected


def test_the_sample_rate_reaches_the_metric(clean, noisy):
    assert METRICS["stoi"](clean, noisy, 8000) == metrics.stoi(clean, noisy, 8000)
    with pytest.raises(ValueError, match="got 8000"):
        METRICS["pesq"](clean, noisy, 8000)


@pytest.mark.parametrize("name", ["si_sdr", "sdr", "pesq", "stoi", "estoi"])
def test_our_own_functions_are_told_the_sample_rate(name):
    assert get_metric(getattr(metrics, name)) is METRICS[name]


def test_a_users_function_is_called_with_clean_and_enhanced():
    metric = get_metric(lambda clean, enhanced: np.float32(clean[0] - enhanced[0]))
    score = metric([3.0], [1.0], 16000)
    assert score == 2.0 and type(score) is float


def test_a_users_metric_is_called_by_its_name():
    class Loss:
        def __call__(self, clean, enhanced):
            return 0.0

    assert get_metric(peak_error).name == "peak_error"
    assert get_metric(Loss()).name == "Loss"


def test_a_metric_is_taken_as_it_is():
    metric = Metric("peak", peak_error)
    assert get_metric(metric) is metric


@pytest.mark.parametrize("unknown", ["snr", "PESQ", "", None, 3, ["sdr"]])
def test_an_unknown_metric_is_an_error_that_lists_the_known(unknown):
    with pytest.raises(ValueError, match="`metric` must be one of") as error:
        get_metric(unknown)
    assert all(name in str(error.value) for name in METRICS)
    assert repr(unknown) in str(error.value)


@pytest.mark.parametrize("name", [*METRICS, "vdot"])
def test_threads_do_not_change_the_last_bits(name, clean, noisy):
    if name.startswith("pesq"):
        pytest.importorskip("pesq")
    metric = get_metric(METRICS.get(name, np.vdot))
    with threadpool_limits(1):
        alone = metric(clean, noisy, 16000)
    with threadpool_limits(3):
        assert metric(clean, noisy, 16000) == alone
        if name in METRICS and not name.startswith("pesq"):
            assert getattr(metrics, name)(clean, noisy) == alone


@pytest.mark.parametrize("metric", [*METRICS.values(), get_metric(np.vdot)])
def test_metrics_travel_to_other_processes(metric):
    assert pickle.loads(pickle.dumps(metric)).name == metric.name


def test_importing_the_metrics_loads_nothing_heavy():
    heavy = "pandas torch librosa pesq pystoi sklearn scipy.signal mir_eval"
    script = f"""
import sys
import skvae.metrics
assert skvae.metrics.si_sdr([1.0, 2.0], [2.0, 1.0]) > 0
print(*sorted(set({heavy!r}.split()) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
