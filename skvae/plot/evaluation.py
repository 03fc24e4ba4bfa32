"""Scores of enhancers: distributions and paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skvae.evaluation.intervals import MIN_N
from skvae.evaluation.layout import LABELS
from skvae.evaluation.scores import evaluate
from skvae.evaluation.summary import compare, scores_of
from skvae.plot.style import MARKERS, NEUTRAL_COLOR, color, new_axes
from skvae.utils.parameters import check_option

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

KINDS = ("box", "violin", "difference")

#: Size of a new figure in inches, with space for the legend on the right.
_SIZE = (8.0, 4.5)
#: Fraction of a group's width that is filled. The rest separates groups.
_FILLED = 0.8
#: Fraction of an enhancer's width that its box fills.
_BOX = 0.85
#: Explanation of a hollow marker.
_HOLLOW = f"hollow: fewer than {MIN_N} pairs, no interval"


class EvaluationDisplay:
    """Scores of one or several enhancers, in groups such as SNRs.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Results of :func:`~skvae.evaluate`, by the names that are shown.
    metric : str, default="si_sdr"
        Column with the scores.
    by : str, default=None
        Column whose values define groups of utterances. None means one group.
    reference : str, default=None
        Name of the table with which the others are compared. None means the first.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure of the plot.
    ax_ : matplotlib Axes
        Axes of the plot.

    See Also
    --------
    evaluate : Compute the tables.
    compare : Compute the differences.

    Examples
    --------
    >>> from skvae import LogMMSE, WienerFilter, evaluate
    >>> from skvae.datasets import make_dataset
    >>> from skvae.plot import EvaluationDisplay
    >>> noisy, clean = make_dataset(4, random_state=0)
    >>> tables = {
    ...     name: evaluate(estimator, noisy, clean, "si_sdr", info={"snr": [0, 5] * 2})
    ...     for name, estimator in {
    ...         "noisy": None,
    ...         "Wiener": WienerFilter().fit(noisy),
    ...         "log-MMSE": LogMMSE().fit(noisy),
    ...     }.items()
    ... }
    >>> display = EvaluationDisplay.from_tables(tables, by="snr")
    >>> display.ax_.get_ylabel()
    'SI-SDR (dB)'
    >>> display = display.plot(kind="difference")
    >>> display.ax_.get_ylabel()
    'SI-SDR (dB), difference from noisy'
    """

    def __init__(
        self,
        tables: Mapping[str, pandas.DataFrame],
        *,
        metric: str = "si_sdr",
        by: str | None = None,
        reference: str | None = None,
    ):
        self.tables = tables
        self.metric = metric
        self.by = by
        self.reference = reference

    @classmethod
    def from_tables(
        cls,
        tables: Mapping[str, pandas.DataFrame],
        *,
        metric: str = "si_sdr",
        by: str | None = None,
        reference: str | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> EvaluationDisplay:
        """Draw scores from tables.

        Parameters
        ----------
        tables : dict of str to DataFrame
            Results of :func:`~skvae.evaluate`, by the names that are shown.
        metric : str, default="si_sdr"
            Column with the scores.
        by : str, default=None
            Column whose values define groups of utterances. None means one group.
        reference : str, default=None
            Name of the table with which the others are compared. None means the first.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        EvaluationDisplay
            The display.
        """
        display = cls(tables, metric=metric, by=by, reference=reference)
        return display.plot(ax=ax, **options)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        noisy: Any,
        clean: Any,
        *,
        metric: str = "si_sdr",
        by: str | None = None,
        reference: str | None = None,
        info: Any = None,
        n_jobs: int | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> EvaluationDisplay:
        """Evaluate enhancers and draw their scores.

        Parameters
        ----------
        estimators : dict of str to estimator or None
            Fitted enhancers, by the names that are shown. None stands for the noisy
            speech.
        noisy, clean : list of waveforms or 2-D array
            Pairs, as for :func:`~skvae.evaluate`.
        metric : str, default="si_sdr"
            Name of the metric.
        by : str, default=None
            Column whose values define groups of utterances. None means one group.
        reference : str, default=None
            Name of the enhancer with which the others are compared. None means the
            first.
        info : DataFrame or dict of columns, default=None
            Labels of the utterances, including `by`. None means no labels.
        n_jobs : int, default=None
            Number of utterances that are scored in parallel.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        **options : dict
            Options of :meth:`plot`.

        Returns
        -------
        EvaluationDisplay
            The display. Its `tables` are the results of :func:`~skvae.evaluate`.
        """
        tables = {
            name: evaluate(estimator, noisy, clean, metric, info=info, n_jobs=n_jobs)
            for name, estimator in estimators.items()
        }
        return cls.from_tables(
            tables, metric=metric, by=by, reference=reference, ax=ax, **options
        )

    def plot(
        self,
        *,
        kind: str = "box",
        ax: Axes | None = None,
        title: str | None = None,
        confidence: float = 0.95,
    ) -> EvaluationDisplay:
        """Draw the scores.

        Parameters
        ----------
        kind : {"box", "violin", "difference"}, default="box"
            Kind of plot. "box" and "violin" show the distribution of the scores.
            "difference" shows mean paired differences from the reference with bootstrap
            intervals (:func:`~skvae.compare`), and a hollow marker where there are too
            few pairs for an interval. Only differences show which enhancer is better.
        ax : matplotlib Axes, default=None
            Axes to draw on. None means a new figure.
        title : str, default=None
            Title. None means no title.
        confidence : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        EvaluationDisplay
            The display itself.
        """
        check_option("kind", kind, KINDS)
        reference = self._check()
        self.ax_ = new_axes(_SIZE) if ax is None else ax
        self.figure_: Figure = self.ax_.figure  # type: ignore[assignment]
        label = LABELS.get(self.metric, self.metric)
        if kind == "difference":
            names = [name for name in self.tables if name != reference]
            self._draw_differences(names, reference, confidence)
            label = f"{label}, difference from {reference}"
        else:
            self._draw_spread(list(self.tables), reference, kind)
        self.ax_.set_ylabel(label)
        self.ax_.grid(axis="y", color="0.9")
        self.ax_.set_axisbelow(True)
        if title is not None:
            self.ax_.set_title(title)
        return self

    def _check(self) -> str:
        """Validate the tables and return the name of the reference."""
        if not self.tables:
            raise ValueError("`tables` must hold at least one table, got none.")
        wanted = [self.metric, *([] if self.by is None else [self.by])]
        for name, table in self.tables.items():
            missing = [column for column in wanted if column not in table]
            if missing:
                raise ValueError(
                    f"`tables` must have the columns {wanted}, got {list(table)} for "
                    f"{name!r}."
                )
        if self.reference is None:
            return next(iter(self.tables))
        check_option("reference", self.reference, list(self.tables))
        return self.reference

    def _color(self, name: str, reference: str) -> str:
        """Return the color of an enhancer: gray if it is the reference."""
        if name == reference:
            return NEUTRAL_COLOR
        return color([other for other in self.tables if other != reference].index(name))

    def _groups(self) -> list[Any]:
        """Return the sorted values of `by`, or one group for all utterances."""
        if self.by is None:
            return ["all"]
        table = next(iter(self.tables.values()))
        return sorted(table[self.by].dropna().unique())

    def _places(self, n_names: int, n_groups: int) -> tuple[np.ndarray, float]:
        """Return positions of shape (n_names, n_groups), and the width of an item."""
        if self.by is None:
            return np.arange(n_names)[:, None], _FILLED
        width = _FILLED / n_names
        offsets = (np.arange(n_names) - (n_names - 1) / 2) * width
        return offsets[:, None] + np.arange(n_groups), width

    def _draw_spread(self, names: list[str], reference: str, kind: str) -> None:
        from matplotlib.patches import Patch

        groups = self._groups()
        places, width = self._places(len(names), len(groups))
        handles: list[Patch] = []
        for name, where in zip(names, places, strict=True):
            face = self._color(name, reference)
            table = self.tables[name]
            chosen = [
                table if self.by is None else table[table[self.by] == group]
                for group in groups
            ]
            scores = [scores_of(rows, self.metric) for rows in chosen]
            scores = [values[np.isfinite(values)] for values in scores]
            if kind == "box":
                self._draw_boxes(scores, where, width * _BOX, face)
            else:
                self._draw_violins(scores, where, width * _BOX, face)
            handles.append(Patch(facecolor=face, edgecolor="black", label=name))
        self._label_places(names, groups, handles)

    def _draw_boxes(
        self, scores: list[np.ndarray], where: np.ndarray, width: float, face: str
    ) -> None:
        self.ax_.boxplot(
            scores,
            positions=list(where),
            widths=width,
            patch_artist=True,
            boxprops={"facecolor": face},
            medianprops={"color": "black", "linewidth": 2},
            flierprops={"marker": ".", "markersize": 4},
            manage_ticks=False,
        )

    def _draw_violins(
        self, scores: list[np.ndarray], where: np.ndarray, width: float, face: str
    ) -> None:
        drawn = [k for k, values in enumerate(scores) if len(values) > 0]
        if not drawn:
            return
        parts = self.ax_.violinplot(
            [scores[k] for k in drawn],
            positions=[where[k] for k in drawn],
            widths=width,
            showextrema=False,
            showmedians=True,
        )
        for body in parts["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=face, edgecolor="black", alpha=1.0)
        parts["cmedians"].set(color="black", linewidth=2)

    def _draw_differences(
        self, names: list[str], reference: str, confidence: float
    ) -> None:
        if not names:
            raise ValueError(
                "`tables` must hold another table than the reference, got only "
                f"{reference!r}."
            )
        groups = self._groups()
        shown = groups if self.by is None else [*groups, "all"]
        places, _ = self._places(len(names), len(shown))
        handles = []
        has_bare = False
        self.ax_.axhline(0, color=NEUTRAL_COLOR, zorder=1)
        for k, (name, where) in enumerate(zip(names, places, strict=True)):
            found = compare(
                self.tables[name],
                self.tables[reference],
                self.metric,
                by=self.by,
                confidence=confidence,
            )
            # The first row is for all utterances. It is drawn last.
            order = [0]
            if self.by is not None:
                row_of = {group: row for row, group in enumerate(found[self.by]) if row}
                order = [*(row_of[group] for group in groups), 0]
            mean, low, high = (
                found.iloc[order][["difference", "low", "high"]].to_numpy(float).T
            )
            marker, tint = MARKERS[k % len(MARKERS)], self._color(name, reference)
            handles.append(
                self.ax_.errorbar(
                    where,
                    mean,
                    [mean - low, high - mean],  # nothing is drawn where it is NaN
                    fmt=marker,
                    color=tint,
                    capsize=3,
                    label=name,
                )
            )
            bare = np.isnan(low)
            if bare.any():
                self.ax_.plot(
                    where[bare],
                    mean[bare],
                    marker,
                    color=tint,
                    markerfacecolor="white",
                    zorder=3,
                )
                has_bare = True
        self._label_places(names, shown, handles)
        if has_bare:
            self.ax_.annotate(
                _HOLLOW,
                (1, 1),
                xytext=(0, 3),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="right",
                fontsize="small",
                color=NEUTRAL_COLOR,
            )

    def _label_places(
        self, names: list[str], groups: list[Any], handles: list[Any]
    ) -> None:
        """Label the axis with the names if there is one group, else add a legend."""
        if self.by is None:
            self.ax_.set_xticks(range(len(names)), names)
            self.ax_.set_xlim(-0.6, len(names) - 0.4)
            return
        # Use a proper minus sign, as on the other axis.
        ticks = [
            str(group).replace("-", "\N{MINUS SIGN}")
            if isinstance(group, Real)
            else str(group)
            for group in groups
        ]
        self.ax_.set_xticks(range(len(groups)), ticks)
        self.ax_.set_xlabel(LABELS.get(self.by, self.by))
        self.ax_.set_xlim(-0.6, len(groups) - 0.4)
        for edge in np.arange(len(groups) - 1) + 0.5:
            self.ax_.axvline(edge, color="0.9", linewidth=1)
        self.ax_.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
        )
