"""Scores of an enhancer, one row per utterance, and scorers for scikit-learn."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.pipeline import Pipeline

from skvae.evaluation.summary import failed_rows, scores_of
from skvae.metrics import METRICS, Metric, get_metric, mean_defined
from skvae.signal.stft import STFT
from skvae.signal.utterances import is_spectrogram
from skvae.utils.extras import require_pandas
from skvae.utils.inputs import check_utterance
from skvae.utils.progress import Progress
from skvae.utils.waveforms import (
    check_sample_rate,
    list_waveforms,
    open_waveform,
)
from skvae.utils.workers import run_tasks

if TYPE_CHECKING:
    import pandas

#: Sample rate in Hz of waveforms of unknown rate.
DEFAULT_RATE = 16_000

#: Default metrics of :func:`evaluate`.
DEFAULT_METRICS = ("si_sdr", "sdr", "pesq", "estoi")


def evaluate(
    estimator: Any,
    noisy: Any,
    clean: Any,
    metrics: str | Callable | Sequence[str | Callable] = DEFAULT_METRICS,
    *,
    sample_rate: int | None = None,
    info: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pandas.DataFrame:
    """Score an enhancer on pairs; one row per utterance.

    Utterances are read, enhanced and scored one at a time, so that a corpus of
    :class:`~skvae.datasets.AudioFile` is never in memory as a whole. If an utterance
    fails, its row has the error, and the others are scored.

    Parameters
    ----------
    estimator : estimator or None
        Fitted object with a `transform`: an enhancer, a pipeline, a search. None scores
        the noisy speech itself.
    noisy : list of waveforms or 2-D array
        Noisy speech.
    clean : list of waveforms or 2-D array
        Clean speech of the same lengths.
    metrics : str, callable, or list of these
        Keys of :data:`~skvae.metrics.METRICS`, or functions of (clean, enhanced).
    sample_rate : int, default=None
        Sample rate in Hz. None means that of the estimator's STFT, or of each file, or
        16000, whichever is known. Nothing is resampled.
    info : DataFrame or dict of columns, default=None
        Facts about the utterances, such as SNR and speaker, in the same order.
    n_jobs : int, default=None
        Number of utterances that are scored at the same time, as in scikit-learn, by
        the current backend of joblib.
    verbose : int, default=0
        Whether to show progress on standard error.

    Returns
    -------
    DataFrame
        A row per utterance in the order of the input, with the columns `file` (for
        files), those of `info`, one per metric, and

        - `seconds`: duration of the utterance;
        - `rtf`: real-time factor, the time of the enhancement (without reading and
          scoring) per second of audio;
        - `error`: the error, or None. A score is NaN after an error, and where its
          metric is undefined.

    Raises
    ------
    ImportError
        If a metric needs a package that is not installed; before any work is done.
    ValueError
        If an argument is wrong for all utterances.
    NotFittedError
        If the estimator is not fitted.

    Warns
    -----
    UndefinedMetricWarning
        Once for each metric that is undefined for some utterances.
    UserWarning
        Once if there are errors.

    See Also
    --------
    summarize : Means and their confidence intervals.
    compare : Paired differences between two enhancers.

    Examples
    --------
    >>> from skvae import WienerFilter
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(3, snr=[0, 5], random_state=0)
    >>> table = evaluate(
    ...     WienerFilter().fit(noisy), noisy, clean, ["si_sdr", "stoi"],
    ...     info={"noise": ["hum", "wind", "hum"]},
    ... )
    >>> list(table)
    ['noise', 'si_sdr', 'stoi', 'seconds', 'rtf', 'error']
    >>> before = evaluate(None, noisy, clean, "si_sdr")
    >>> bool(table["si_sdr"].mean() > before["si_sdr"].mean())
    True
    """
    require_pandas("evaluate")
    import pandas

    noisy_items, clean_items = _list_pairs(noisy, clean, ("noisy", "clean"))
    chosen = _choose_metrics(metrics)
    rate = _choose_rate(estimator, sample_rate)
    if estimator is not None and not hasattr(estimator, "transform"):
        raise ValueError(
            "`estimator` must have a `transform`, as enhancers, pipelines and fitted "
            f"searches do, or be None, got {estimator!r}."
        )
    names = [metric.name for metric in chosen]
    n_utterances = len(noisy_items)
    known = _describe(noisy_items, info, {*names, "seconds", "rtf", "error"})
    # If only some metrics refuse the rate, the rows have the error.
    with contextlib.suppress(ValueError):
        _try_once(chosen, rate)

    tasks = [
        (*pair, chosen, rate) for pair in zip(noisy_items, clean_items, strict=True)
    ]
    rows = []
    with warnings.catch_warnings():
        # scikit-learn passes this filter to local workers; gaps are counted below.
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        progress = Progress(n_utterances, "evaluating", enabled=bool(verbose))
        with progress:
            for row in run_tasks(_evaluate_pair, tasks, n_jobs, shared=(estimator,)):
                rows.append(row)
                progress.advance()

    scores = pandas.DataFrame(rows).astype({"error": object})
    table = pandas.concat([known, scores], axis=1)
    table.index.name = "utterance"
    table.attrs["metrics"] = names
    _warn_of_gaps(table, names)
    return table


def make_enhancement_scorer(
    name: str | Callable | Sequence[str | Callable],
    *,
    sample_rate: int | None = None,
    **options: Any,
) -> Callable[[Any, Any, Any], Any]:
    """Make a scorer for ``cross_validate``, ``GridSearchCV`` and the like.

    Parameters
    ----------
    name : str, callable, or list of these
        Key of :data:`~skvae.metrics.METRICS`, or a function of (clean, enhanced) that
        is higher for better results. A list makes a scorer of several metrics.
    sample_rate : int, default=None
        Sample rate in Hz. None means that of the estimator's STFT, or of each file, or
        16000, whichever is known.
    **options
        Options of the metric, such as ``mode="nb"`` for PESQ; for a single metric only.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)`` enhances each noisy utterance of X, compares it to
        that of y, and returns the mean over those for which the metric is defined: a
        float, or a dict of floats for a list. Unlike :func:`evaluate`, it raises
        errors.

    See Also
    --------
    evaluate : All scores, one row per utterance.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from skvae import LogMMSE
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(4, random_state=0)
    >>> scorer = make_enhancement_scorer(["si_sdr", "stoi"])
    >>> scorer
    make_enhancement_scorer(['si_sdr', 'stoi'])
    >>> scores = cross_validate(LogMMSE(), noisy, clean, scoring=scorer, cv=2)
    >>> scores["test_stoi"].shape
    (2,)
    """
    several = not isinstance(name, str) and not callable(name)
    metrics = _choose_metrics(name)
    if options:
        if several:
            raise ValueError(
                f"options such as {next(iter(options))!r} belong to one metric, got "
                f"{[metric.name for metric in metrics]}."
            )
        metrics = [_with_options(metrics[0], options)]
    rate = None if sample_rate is None else check_sample_rate(sample_rate)
    _try_once(metrics, rate)
    return _EnhancementScorer(metrics, several, rate, options)


class _EnhancementScorer:
    """Scorer of :func:`make_enhancement_scorer`: an object, so that it pickles."""

    def __init__(
        self,
        metrics: list[Metric],
        several: bool,
        sample_rate: int | None,
        options: dict[str, Any],
    ):
        self._metrics = metrics
        self._several = several
        self._sample_rate = sample_rate
        self._options = options

    def __call__(self, estimator: Any, X: Any, y: Any) -> Any:
        noisy, clean = _list_pairs(X, y, ("X", "y"))
        rate = _choose_rate(estimator, self._sample_rate)
        scores: dict[str, list[float]] = {metric.name: [] for metric in self._metrics}
        for k, (one, target) in enumerate(zip(noisy, clean, strict=True)):
            try:
                pair = _read_pair(one, target, rate)
                enhanced = _enhance(estimator, pair)
                for metric in self._metrics:
                    score = metric(pair.clean, enhanced, pair.sample_rate)
                    scores[metric.name].append(score)
            except Exception as error:
                error.add_note(f"This happened while scoring utterance {k}.")
                raise
        means = {name: mean_defined(values) for name, values in scores.items()}
        return means if self._several else means[self._metrics[0].name]

    def __repr__(self) -> str:
        names = [metric.name for metric in self._metrics]
        arguments = [repr(names if self._several else names[0])]
        if self._sample_rate is not None:
            arguments.append(f"sample_rate={self._sample_rate}")
        arguments += [f"{key}={value!r}" for key, value in self._options.items()]
        return f"make_enhancement_scorer({', '.join(arguments)})"


class _Pair(NamedTuple):
    """A pair that has been read, the noisy utterance as the estimator takes it."""

    noisy: Any
    clean: np.ndarray
    sample_rate: int


def _evaluate_pair(
    estimator: Any,
    noisy: Any,
    clean: Any,
    metrics: list[Metric],
    sample_rate: int | None,
) -> dict[str, Any]:
    """Row of one utterance, also after an error."""
    row: dict[str, Any] = {metric.name: math.nan for metric in metrics}
    row |= {"seconds": math.nan, "rtf": math.nan, "error": None}
    try:
        pair = _read_pair(noisy, clean, sample_rate)
        row["seconds"] = len(pair.clean) / pair.sample_rate
        begin = perf_counter()
        enhanced = _enhance(estimator, pair)
        spent = perf_counter() - begin
        row["rtf"] = 0.0 if estimator is None else spent / row["seconds"]
    except (ImportError, NotFittedError):  # errors of all utterances
        raise
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {error}"
        return row
    errors = []
    for metric in metrics:
        try:
            row[metric.name] = metric(pair.clean, enhanced, pair.sample_rate)
        except ImportError:
            raise
        except Exception as error:
            errors.append(f"{metric.name}: {type(error).__name__}: {error}")
    row["error"] = "; ".join(errors) or None
    return row


def _read_pair(noisy: Any, clean: Any, sample_rate: int | None) -> _Pair:
    for name, waveform in (("noisy", noisy), ("clean", clean)):
        own = getattr(waveform, "sample_rate", None)
        if own is not None and sample_rate is not None and own != sample_rate:
            raise ValueError(
                f"{name} has a sample rate of {own} Hz, expected {sample_rate}: "
                f"resample it, e.g. with AudioFile(path, sample_rate={sample_rate})."
            )
        sample_rate = sample_rate or own
    check_utterance(noisy, "noisy")
    # Read before the time is measured, without a change of dtype.
    samples = noisy if is_spectrogram(noisy) else np.asarray(noisy)
    opened, target = _waveform(samples, "noisy"), _waveform(clean, "clean")
    if len(opened) != len(target):
        raise ValueError(
            f"noisy has {len(opened)} samples but clean has {len(target)}: pairs must "
            "have equal lengths (are both lists in the same order?)."
        )
    return _Pair(samples, target, sample_rate or DEFAULT_RATE)


def _enhance(estimator: Any, pair: _Pair) -> np.ndarray:
    enhanced = pair.noisy if estimator is None else estimator.transform([pair.noisy])[0]
    waveform = _waveform(enhanced, "enhanced")
    if len(waveform) != len(pair.clean):
        raise ValueError(
            f"enhanced has {len(waveform)} samples but clean has {len(pair.clean)}: "
            "the estimator must keep the lengths."
        )
    return waveform


def _waveform(item: Any, name: str) -> np.ndarray:
    return open_waveform(item.to_waveform() if is_spectrogram(item) else item, name)


def _list_pairs(
    noisy: Any, clean: Any, names: tuple[str, str]
) -> tuple[list[Any], list[Any]]:
    lists = _list_items(noisy, names[0]), _list_items(clean, names[1])
    if len(lists[0]) != len(lists[1]):
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have the same number of utterances, "
            f"got {len(lists[0])} and {len(lists[1])}."
        )
    return lists


def _list_items(waveforms: Any, name: str) -> list[Any]:
    """Items of a collection, unopened: the row of a broken one gets the error."""
    items = waveforms.to_numpy() if hasattr(waveforms, "to_numpy") else waveforms
    listed = list(list_waveforms(items, name))
    if not listed:
        raise ValueError(f"`{name}` must have at least one utterance, got none.")
    return listed


def _choose_metrics(metrics: Any) -> list[Metric]:
    one = isinstance(metrics, str) or callable(metrics)
    chosen = [get_metric(metric) for metric in ([metrics] if one else metrics)]
    names = [metric.name for metric in chosen]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`metrics` must name at least one metric, and each once, got {names}."
        )
    return chosen


def _with_options(metric: Metric, options: dict[str, Any]) -> Metric:
    try:
        inspect.signature(metric.function).bind(None, None, **options)
    except TypeError as error:
        raise TypeError(
            f"{metric.name} cannot take {options}: {error}; its signature is "
            f"{inspect.signature(metric.function)}."
        ) from error
    function = partial(metric.function, **options)
    return Metric(metric.name, function, metric.uses_sample_rate)


def _try_once(metrics: list[Metric], sample_rate: int | None) -> None:
    """Raise errors that every utterance would have, such as a missing package."""
    for metric in metrics:
        function = metric.function
        while isinstance(function, partial):
            function = function.func
        if function not in _OWN_METRICS:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            metric(np.zeros(1), np.zeros(1), sample_rate or DEFAULT_RATE)


#: Functions of the named metrics, which may be called to see whether they work.
_OWN_METRICS = [
    getattr(metric.function, "func", metric.function) for metric in METRICS.values()
]


def _choose_rate(estimator: Any, sample_rate: int | None) -> int | None:
    """Sample rate that all utterances must have, or None if each has its own."""
    known = _rate_of(estimator)
    if sample_rate is None:
        return known
    rate = check_sample_rate(sample_rate)
    if known not in (None, rate):
        raise ValueError(
            f"`sample_rate` must be that of the estimator's STFT, {known}, or None, "
            f"got {rate}."
        )
    return rate


def _rate_of(estimator: Any) -> int | None:
    """Sample rate of an enhancer's STFT, also inside a pipeline or a search."""
    if isinstance(estimator, STFT):
        return check_sample_rate(estimator.sample_rate)
    # A search has the last two, and a frozen estimator the last.
    names = ("stft_", "best_estimator_", "estimator")
    parts = [getattr(estimator, name, None) for name in names]
    if isinstance(estimator, Pipeline):
        parts = [step for _, step in estimator.steps]
    rates = (_rate_of(part) for part in parts if part is not None)
    return next((rate for rate in rates if rate is not None), None)


def _describe(noisy: list[Any], info: Any, taken: set[str]) -> pandas.DataFrame:
    """Table of the facts about the utterances."""
    import pandas

    known = pandas.DataFrame(index=range(len(noisy)))
    paths = [item.path for item in noisy if hasattr(item, "path")]
    if len(paths) == len(noisy):
        names = [os.path.basename(path) for path in paths]
        known["file"] = names if len(set(names)) == len(set(paths)) else paths
    if info is None:
        return known
    columns = pandas.DataFrame(info).reset_index(drop=True)
    if len(columns) != len(noisy):
        raise ValueError(
            f"`info` must have a row for each of the {len(noisy)} utterances, got "
            f"{len(columns)}."
        )
    clash = sorted((taken | set(known)) & set(columns))
    if clash:
        raise ValueError(
            f"`info` must not have the columns {clash}, which contain results: rename "
            "or drop them."
        )
    return pandas.concat([known, columns], axis=1)


def _warn_of_gaps(table: pandas.DataFrame, names: list[str]) -> None:
    failed = failed_rows(table)
    for name in names:
        n_undefined = int((np.isnan(scores_of(table, name)) & ~failed).sum())
        if n_undefined:
            warnings.warn(
                f"{name} is undefined and set to NaN for {n_undefined} of "
                f"{len(table)} utterances.",
                UndefinedMetricWarning,
                stacklevel=3,
            )
    if failed.any():
        first = int(failed.argmax())
        warnings.warn(
            f"{int(failed.sum())} of {len(table)} utterances failed, see the column "
            f"'error'. Utterance {first}: {table['error'].iloc[first]}",
            UserWarning,
            stacklevel=3,
        )
