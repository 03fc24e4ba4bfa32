"""How good an enhancer is: scores per utterance, their means, and what to trust."""

from __future__ import annotations

import contextlib
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Number
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.pipeline import Pipeline

from skvae.evaluation.summary import failed_rows, scores_of
from skvae.metrics import METRICS, Metric, get_metric, mean_defined
from skvae.signal.stft import STFT
from skvae.signal.utterances import is_spectrogram
from skvae.utils.progress import Progress
from skvae.utils.waveforms import check_sample_rate, open_waveform
from skvae.utils.workers import run_tasks

if TYPE_CHECKING:
    import pandas

#: Samples per second of waveforms that nobody knows the rate of.
DEFAULT_RATE = 16_000

#: What :func:`evaluate` scores unless told otherwise.
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
    """Score an enhancer on pairs, an utterance a row.

    One utterance is read, enhanced and scored after the other, so that a corpus of
    :class:`~skvae.datasets.AudioFile` never sits in memory. What goes wrong with an
    utterance is told in its row and stops nothing.

    Parameters
    ----------
    estimator : estimator or None
        Anything fitted that has a `transform`: an enhancer, a pipeline, a search. None
        scores the noisy speech itself.
    noisy : list of waveforms or 2-D array
        Noisy speech.
    clean : list of waveforms or 2-D array
        Clean speech of the same lengths.
    metrics : str, callable, or list of these
        Keys of :data:`~skvae.metrics.METRICS`, or functions of (clean, enhanced).
    sample_rate : int, default=None
        Samples per second. None means that of the estimator's STFT, else that of each
        file, else 16000. Nothing is resampled.
    info : DataFrame or dict of columns, default=None
        What is known of the utterances, such as SNR and speaker, in their order.
    n_jobs : int, default=None
        Number of utterances that are scored side by side, as in scikit-learn, on
        whatever backend joblib is set to.
    verbose : int, default=0
        Whether to show progress on standard error.

    Returns
    -------
    DataFrame
        A row per utterance in the order of the input, with the columns `file` (for
        files), those of `info`, one per metric, and

        - `seconds`: length of the utterance;
        - `rtf`: seconds of work per second of audio, reading and scoring left out;
        - `error`: what went wrong, else None. A score is NaN where it has no value:
          after an error, and where its metric is undefined.

    Raises
    ------
    ImportError
        If a metric needs a package that is missing; before any work is done.
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
    compare : Whether one enhancer is better than another.

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
    # A rate that a metric cannot take is told in the rows; others may do with it.
    with contextlib.suppress(ValueError):
        _try_once(chosen, rate)

    tasks = [
        (*pair, chosen, rate) for pair in zip(noisy_items, clean_items, strict=True)
    ]
    rows = []
    with warnings.catch_warnings():
        # scikit-learn carries this to local workers; what they hide is counted below.
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
    """Make a scorer for ``cross_validate``, ``GridSearchCV`` and their like.

    Parameters
    ----------
    name : str, callable, or list of these
        Key of :data:`~skvae.metrics.METRICS`, or a function of (clean, enhanced) of
        which more is better. A list makes a scorer of several metrics.
    sample_rate : int, default=None
        Samples per second. None means that of the estimator's STFT, else that of each
        file, else 16000.
    **options
        What else the metric takes, such as ``mode="nb"`` for PESQ; for one metric only.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)`` enhances each noisy utterance of X, compares it to
        that of y, and returns the mean over those for which the metric is defined: a
        float, or a dict of floats for a list. Unlike :func:`evaluate` it raises what
        goes wrong.

    See Also
    --------
    evaluate : All scores, an utterance a row.

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
    """What :func:`make_enhancement_scorer` makes: an object, so that it pickles."""

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
    """A pair that was read: the noisy one as the estimator takes it."""

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
    """Row of one utterance, whatever becomes of it."""
    row: dict[str, Any] = {metric.name: math.nan for metric in metrics}
    row |= {"seconds": math.nan, "rtf": math.nan, "error": None}
    try:
        pair = _read_pair(noisy, clean, sample_rate)
        row["seconds"] = len(pair.clean) / pair.sample_rate
        begin = perf_counter()
        enhanced = _enhance(estimator, pair)
        spent = perf_counter() - begin
        row["rtf"] = 0.0 if estimator is None else spent / row["seconds"]
    except (ImportError, NotFittedError):  # no fault of this utterance
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
                f"resample it, with AudioFile(path, sample_rate={sample_rate}) for "
                "instance."
            )
        sample_rate = sample_rate or own
    # Read before the clock starts, and in the dtype that it has.
    samples = noisy if is_spectrogram(noisy) else np.asarray(noisy)
    opened, target = _waveform(samples, "noisy"), _waveform(clean, "clean")
    if len(opened) != len(target):
        raise ValueError(
            f"noisy has {len(opened)} samples but clean has {len(target)}: pairs must "
            "have equal lengths (are the lists in one order?)."
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
    lists = _list_waveforms(noisy, names[0]), _list_waveforms(clean, names[1])
    if len(lists[0]) != len(lists[1]):
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must hold as many utterances each, got "
            f"{len(lists[0])} and {len(lists[1])}."
        )
    return lists


def _list_waveforms(waveforms: Any, name: str) -> list[Any]:
    """Items of a collection, unopened: one that is broken is its row's affair."""
    items = waveforms.to_numpy() if hasattr(waveforms, "to_numpy") else waveforms
    if isinstance(items, np.ndarray):
        holds_many = items.ndim == 2 or (items.ndim == 1 and items.dtype == object)
    else:
        holds_many = isinstance(items, Sequence) and not isinstance(items, str | bytes)
    listed = list(items) if holds_many else []
    if not listed or isinstance(listed[0], Number):
        what = "an empty one" if holds_many and not listed else "numbers"
        raise ValueError(
            f"`{name}` must be a list of waveforms or a 2-D array, got "
            f"{what if holds_many else type(waveforms).__name__}: a single waveform "
            "goes into a list."
        )
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
    """Raise now what else every utterance would: a missing package, a wrong option."""
    for metric in metrics:
        function = metric.function
        while isinstance(function, partial):
            function = function.func
        if function not in _OWN_METRICS:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            metric(np.zeros(1), np.zeros(1), sample_rate or DEFAULT_RATE)


#: The functions behind the names: only these may be called to see whether they work.
_OWN_METRICS = [
    getattr(metric.function, "func", metric.function) for metric in METRICS.values()
]


def _choose_rate(estimator: Any, sample_rate: int | None) -> int | None:
    """Sample rate that all utterances must have, or None where each tells its own."""
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
    """Sample rate of an enhancer's STFT, also inside of a pipeline or a search."""
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
    """What is known of the utterances before anything is scored."""
    import os

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
            f"`info` must not have the columns {clash}, which hold results: rename "
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
