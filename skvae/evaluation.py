"""How good an enhancer is: scores per utterance, their means, and what to trust."""

from __future__ import annotations

import contextlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Number
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from skvae.metrics import METRICS, Metric, get_metric, mean_defined
from skvae.spectrogram import check_sample_rate
from skvae.stft import STFT
from skvae.utils.parameters import check_real
from skvae.utils.progress import Progress
from skvae.utils.random import RandomState, draw_seed
from skvae.utils.utterances import is_spectrogram
from skvae.utils.waveforms import open_waveform

if TYPE_CHECKING:
    import pandas

#: Samples per second of waveforms that nobody knows the rate of.
DEFAULT_RATE = 16_000

#: What :func:`evaluate` scores unless told otherwise.
DEFAULT_METRICS = ("si_sdr", "sdr", "pesq", "estoi")

#: Random indices that are held in memory at once while resampling: 32 MB.
_INDICES_AT_ONCE = 2**22

#: Decimals that :func:`format_summary` prints of decibels, and of all else.
_DECIBEL_METRICS, _DECIBEL_DIGITS, _DIGITS = ("si_sdr", "sdr"), 2, 3


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
        Number of utterances that are scored side by side, as in scikit-learn.
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

    tasks = (
        delayed(_evaluate_pair)(estimator, *pair, chosen, rate)
        for pair in zip(noisy_items, clean_items, strict=True)
    )
    parallel = Parallel(n_jobs=n_jobs, return_as="generator" if verbose else "list")
    rows = []
    with warnings.catch_warnings():
        # scikit-learn carries this to the workers; what they hide is counted below.
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        progress = Progress(n_utterances, "evaluating", enabled=bool(verbose))
        with progress:
            for row in parallel(tasks):
                rows.append(row)
                progress.advance()

    scores = pandas.DataFrame(rows).astype({"error": object})
    table = pandas.concat([known, scores], axis=1)
    table.index.name = "utterance"
    table.attrs["metrics"] = names
    _warn_of_gaps(table, names)
    return table


def summarize(
    table: pandas.DataFrame,
    by: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: RandomState = 0,
) -> pandas.DataFrame:
    r"""Mean scores with bootstrap confidence intervals.

    Parameters
    ----------
    table : DataFrame
        What :func:`evaluate` returned, or several of these, one below the other.
    by : str or list of str, default=None
        Columns by whose values the utterances are also grouped.
    metrics : str or list of str, default=None
        Columns to average; None means all metrics of the table.
    confidence : float, default=0.95
        Probability that an interval covers the mean over all such utterances.
    n_resamples : int, default=2000
        Number of bootstrap resamples.
    random_state : int, Generator, RandomState or None, default=0
        Where the resamples come from.

    Returns
    -------
    DataFrame
        A row per group and metric, the group "all" first. Its columns are those of
        `by`, then `metric`, `mean`, `low` and `high` (the interval), `n` (number of
        scores in the mean), `undefined` (scores that are NaN without an error) and
        `errors`: the last three sum to the number of utterances.

    See Also
    --------
    format_summary : The same to read: a line per group.

    Notes
    -----
    The interval lies between two percentiles of the resampled means. Plain percentiles
    are too narrow for few utterances (with 10 they cover the mean 9 times in 10), so
    that they are moved outwards to where Student's t has them:
    :math:`\Phi(\pm\sqrt{n / (n - 1)}\, t_{n-1})` [1]_. Utterances count as independent
    of each other. One alone has no interval.

    References
    ----------
    .. [1] T. C. Hesterberg, "What teachers should know about the bootstrap:
       resampling in the undergraduate statistics curriculum", The American Statistician
       69(4), 2015.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"snr": [0, 0, 5, 5], "si_sdr": [4.0, 6.0, 8.0, 10.0]})
    >>> summarize(table, by="snr")[["snr", "metric", "mean", "n"]]
       snr  metric  mean  n
    0  all  si_sdr   7.0  4
    1    0  si_sdr   5.0  2
    2    5  si_sdr   9.0  2
    """
    import pandas

    keys, names = _columns(by), _metric_columns(table, metrics)
    bootstrap = _make_bootstrap(confidence, n_resamples, random_state)
    records = []
    for group, rows in _groups(table, keys):
        failed = _failed(rows)
        for name in names:
            scores = _scores(rows, name)
            absent = np.isnan(scores)
            mean, low, high = bootstrap(scores[~absent])
            records.append(
                {
                    **group,
                    "metric": name,
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "n": int((~absent).sum()),
                    "undefined": int((absent & ~failed).sum()),
                    "errors": int((absent & failed).sum()),
                }
            )
    return pandas.DataFrame(records)


def compare(
    table: pandas.DataFrame,
    other: pandas.DataFrame,
    metrics: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: RandomState = 0,
) -> pandas.DataFrame:
    """How much better one enhancer is than another, on the same utterances.

    Paired differences tell apart what two separate intervals leave open, since the
    spread between easy and hard utterances drops out.

    Parameters
    ----------
    table, other : DataFrame
        What :func:`evaluate` returned for two enhancers and the same utterances.
    metrics : str or list of str, default=None
        Columns to compare; None means all metrics of the table.
    by : str or list of str, default=None
        Columns by whose values the utterances are also grouped.
    confidence : float, default=0.95
        Probability that an interval covers the mean difference.
    n_resamples : int, default=2000
        Number of bootstrap resamples.
    random_state : int, Generator, RandomState or None, default=0
        Where the resamples come from.

    Returns
    -------
    DataFrame
        A row per group and metric: the columns of `by`, then `metric`, `mean` and
        `other` (the means), `difference` (`mean` less `other`), `low` and `high` (its
        interval, as in :func:`summarize`), `sign` (1 or -1 where the interval leaves
        out zero, else 0), `n` (number of pairs) and `dropped` (utterances for which
        one of the two has no score, left out of everything).

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"si_sdr": [5.0, 9.0, 14.0, 3.0, 0.0]})
    >>> other = pandas.DataFrame({"si_sdr": [4.0, 8.5, 13.0, 2.5, -1.0]})
    >>> compare(table, other)[["metric", "difference", "sign", "n"]]
       metric  difference  sign  n
    0  si_sdr         0.8     1  5
    """
    import pandas

    keys, names = _columns(by), _metric_columns(table, metrics)
    _metric_columns(other, names)
    same_files = "file" not in table or "file" not in other
    same_files = same_files or table["file"].equals(other["file"])
    if not table.index.equals(other.index) or not same_files:
        raise ValueError(
            "`table` and `other` must hold the same utterances in the same order, got "
            f"{len(table)} and {len(other)} rows that do not belong together."
        )
    bootstrap = _make_bootstrap(confidence, n_resamples, random_state)
    # By position: labels may repeat.
    numbered = table.assign(_row=np.arange(len(table)))
    records = []
    for group, rows in _groups(numbered, keys):
        for name in names:
            scores = _scores(rows, name)
            others = _scores(other.iloc[rows["_row"].to_numpy()], name)
            with np.errstate(invalid="ignore"):  # infinity less infinity: no difference
                differences = scores - others
            paired = ~np.isnan(differences)
            difference, low, high = bootstrap(differences[paired])
            records.append(
                {
                    **group,
                    "metric": name,
                    "mean": mean_defined(scores[paired]),
                    "other": mean_defined(others[paired]),
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "sign": int(low > 0) - int(high < 0),
                    "n": int(paired.sum()),
                    "dropped": int((~paired).sum()),
                }
            )
    return pandas.DataFrame(records)


def format_summary(summary: pandas.DataFrame) -> str:
    """Lay out a summary for people: a line per group, a column per metric.

    Parameters
    ----------
    summary : DataFrame
        What :func:`summarize` returned. More columns may stand before `metric`: they
        name the lines too, and lines keep their order.

    Returns
    -------
    str
        Each score is "mean [low, high]". Below, what has no score.

    Examples
    --------
    >>> import pandas
    >>> scores = pandas.DataFrame({"snr": [0, 0, 5, 5], "si_sdr": [4.0, 6, 8, 10]})
    >>> print(format_summary(summarize(scores, by="snr")))
    snr  n            si_sdr
    all  4  7.00 [4.00, 10.00]
      0  2   5.00 [4.00, 6.00]
      5  2  9.00 [8.00, 10.00]
    """
    keys = list(summary.columns[: summary.columns.get_loc("metric")])
    lines: dict[tuple, dict[str, str]] = {}
    notes = []
    for record in summary.to_dict("records"):
        group, metric = tuple(record[key] for key in keys), record["metric"]
        line = lines.setdefault(group, {key: str(record[key]) for key in keys})
        line["n"] = str(max(record["n"], int(line.get("n", 0))))
        digits = _DECIBEL_DIGITS if metric in _DECIBEL_METRICS else _DIGITS
        mean, low, high = (
            f"{record[column]:.{digits}f}" for column in ("mean", "low", "high")
        )
        # One utterance has a score, but no interval.
        line[metric] = mean if low == "nan" else f"{mean} [{low}, {high}]"
        if record["undefined"] or record["errors"]:
            place = " ".join([*map(str, group), metric])
            notes.append(
                f"{place}: {record['undefined']} undefined, {record['errors']} errors"
            )
    columns = list(dict.fromkeys(name for line in lines.values() for name in line))
    cells = [columns, *([line.get(c, "") for c in columns] for line in lines.values())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    return "\n".join([*text, *notes])


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
    failed = _failed(table)
    for name in names:
        n_undefined = int((np.isnan(_scores(table, name)) & ~failed).sum())
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


def _columns(names: str | Sequence[str] | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _metric_columns(
    table: pandas.DataFrame, metrics: str | Sequence[str] | None
) -> list[str]:
    wanted = _columns(metrics)
    if metrics is None:
        # `evaluate` notes its metrics; a table that was a file has only their names.
        known = {*METRICS, *table.attrs.get("metrics", [])}
        wanted = [name for name in table.columns if name in known]
    missing = [name for name in wanted if name not in table]
    if missing or not wanted:
        raise ValueError(
            f"`metrics` must name columns of the table, {list(table.columns)}, got "
            f"{missing or metrics}."
        )
    return wanted


def _groups(
    table: pandas.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], pandas.DataFrame]]:
    """All rows, then those of each value of the key columns."""
    missing = [key for key in keys if key not in table]
    if missing:
        raise ValueError(
            f"`by` must name columns of the table, {list(table.columns)}, got "
            f"{missing}."
        )
    yield dict.fromkeys(keys, "all"), table
    if keys:
        for values, rows in table.groupby(keys, dropna=False):
            yield dict(zip(keys, values, strict=True)), rows


def _scores(rows: pandas.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _failed(rows: pandas.DataFrame) -> np.ndarray:
    if "error" not in rows:
        return np.zeros(len(rows), dtype=bool)
    return rows["error"].notna().to_numpy()


def _make_bootstrap(
    confidence: float, n_resamples: int, random_state: RandomState
) -> Callable[[np.ndarray], tuple[float, float, float]]:
    check_real("confidence", confidence, low=0, high=1, open_low=True)
    check_real("n_resamples", n_resamples, low=1, integer=True)
    seed = draw_seed(random_state)
    # Each call starts anew: what a group shows does not depend on the others.
    return lambda scores: _mean_interval(
        scores, confidence, n_resamples, np.random.default_rng(seed)
    )


def _mean_interval(
    scores: np.ndarray, confidence: float, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean of scores without NaN, and its expanded percentile interval."""
    from scipy.special import ndtr, stdtrit

    n = len(scores)
    if n < 2:
        return mean_defined(scores), math.nan, math.nan
    t = stdtrit(n - 1, (1 + confidence) / 2)
    tail = ndtr(-math.sqrt(n / (n - 1)) * t)
    rows = max(1, _INDICES_AT_ONCE // n)
    means = np.empty(n_resamples)
    with np.errstate(invalid="ignore"):  # both infinities: no mean
        for start in range(0, n_resamples, rows):
            part = means[start : start + rows]
            part[:] = scores[rng.integers(n, size=(len(part), n))].mean(axis=1)
        mean = float(scores.mean())
    # Values that occur, not between two: one may be infinite.
    low = np.quantile(means, tail, method="lower")
    high = np.quantile(means, 1 - tail, method="higher")
    return mean, float(low), float(high)
