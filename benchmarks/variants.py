"""Variants of a trained enhancer with other parameters, and tables of their scores."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pandas
from quality import differences
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from skvae import VAENMFEnhancer
from skvae.evaluation.scores import evaluate
from skvae.evaluation.summary import format_summary, summarize

#: Parameters with trained parts. The fitted attribute has the same name and "_".
TRAINED_PARTS = ("vae", "guide")


def published(inference: str) -> dict[str, Any]:
    """Return the parameters that give VAE-NMF the form of the inference's paper."""
    return settings_of(VAENMFEnhancer.as_published(inference))


def settings_of(enhancer: BaseEstimator) -> dict[str, Any]:
    """Return the parameters of an enhancer that differ from its defaults."""
    defaults = type(enhancer)().get_params(deep=False)
    return {
        name: value
        for name, value in enhancer.get_params(deep=False).items()
        if value != defaults[name]
    }


def variant(model: Any, changes: dict[str, Any]) -> Any:
    """Return the enhancer with other parameters and the same trained parts."""
    parameters = model.get_params(deep=False)
    for part in parameters.keys() & set(TRAINED_PARTS):
        fitted = getattr(model, f"{part}_")
        if isinstance(fitted, BaseEstimator) and not isinstance(
            fitted, FrozenEstimator
        ):
            fitted = FrozenEstimator(fitted)
        parameters[part] = fitted
    return type(model)(**{**parameters, **changes})


def print_table(
    systems: Iterable[tuple[str, Any]],
    noisy: list[Any],
    clean: list[Any],
    metrics: tuple[str, ...],
    *,
    info: pandas.DataFrame,
    n_jobs: int | None,
    csv: str | None = None,
) -> None:
    """Score each system; print the means and the paired differences to the first.

    The systems are created one after the other. With `csv`, the scores are written to
    that file after each system, and existing scores are not computed again.
    """
    tables = {}
    if csv is not None and os.path.exists(csv):
        kept = pandas.read_csv(csv, index_col=0)
        tables = {name: rows for name, rows in kept.groupby("system", sort=False)}
    first = None
    for name, enhancer in systems:
        if name not in tables:
            table = evaluate(
                enhancer(), noisy, clean, metrics, info=info, n_jobs=n_jobs
            )
            tables[name] = table.assign(system=name)
            if csv is not None:
                pandas.concat(tables.values()).to_csv(csv)
        table = tables[name]
        print(f"{name}  ({table['rtf'].median():.3f} s per second of audio)")
        print(format_summary(summarize(table, metrics=list(metrics))))
        if first is None:
            first = name
        else:
            print(f"paired differences to {first!r}")
            print(format_summary(differences(table, tables[first])))
        print(flush=True)
