"""Ready-to-use enhancers, by name or from a file."""

from __future__ import annotations

import importlib
import inspect
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from skvae.base import BaseEnhancer
from skvae.signal.types import Utterances
from skvae.storage.classes import Classes, is_class_name, other_classes
from skvae.storage.estimators import check_parameters, describe, rebuild
from skvae.storage.model_files import (
    ModelCard,
    read_model,
    read_summary,
    write_model,
)
from skvae.storage.names import (
    METHODS,
    SUFFIX,
    ModelRecord,
    Name,
    model_names,
    packaged,
    pinned,
)
from skvae.utils.learned import learned_attributes
from skvae.utils.words import did_you_mean

#: Number and duration in seconds of synthetic utterances that replace a corpus.
_N_STAND_INS, _STAND_IN_SECONDS = 10, 3

#: Parameters that only `fit` reads, so that a change would have no effect.
_LEARNED = frozenset({"stft", "noise_profile"})


def list_models() -> list[ModelRecord]:
    """List the models that :func:`load_pretrained` knows by name.

    Returns
    -------
    list of ModelRecord
        Methods, then trained models. Listing them imports no method.

    See Also
    --------
    load_pretrained : Load one of them.

    Examples
    --------
    >>> [model.name for model in list_models() if not (model.learns or model.file)]
    ['spectral-subtraction', 'wiener', 'log-mmse', 'rpca']
    """
    trained = []
    for name, path in packaged().items():
        summary = read_summary(path)
        description = summary.card.description
        trained.append(ModelRecord(name, str(path), description, file=summary))
    return [*METHODS, *trained]


@overload
def load_pretrained(
    name_or_path: Name,
    *,
    clean: Utterances | None = None,
    classes: Iterable[type | str] = (),
    **params: Any,
) -> BaseEnhancer: ...


@overload
def load_pretrained(
    name_or_path: str | os.PathLike[str],
    *,
    clean: Utterances | None = None,
    classes: Iterable[type | str] = (),
    **params: Any,
) -> Any: ...


def load_pretrained(
    name_or_path: str | os.PathLike[str],
    *,
    clean: Any = None,
    classes: Iterable[type | str] = (),
    **params: Any,
) -> Any:
    """Load or make an enhancer that is ready to use.

    Parameters
    ----------
    name_or_path : str or path-like
        A name that :func:`list_models` lists, or a file that :func:`save_pretrained`
        wrote. ``"best@3fa9c1"`` pins a trained model by the first digits of the hash
        that ``skvae models`` shows: another file under that name is an error. Nothing
        in a file is run, so that it may come from anybody. The name of one of
        `classes`, ``"package.module:Class"``, makes that enhancer.
    clean : list of waveforms, default=None
        Clean speech to fit on, for methods that learn. None means synthetic speech,
        with a warning, for them; the others need none.
    classes : iterable of type or str, default=()
        Classes outside skvae that the model may consist of, such as an enhancer of your
        own. A string ``"package.module:Class"`` is imported. No other class outside
        skvae is used, whatever the file says.
    **params
        Parameters of the enhancer's constructor. For a trained model they replace those
        that it was saved with: ``device="cuda"``, ``n_jobs=2``,
        ``attenuation_limit=12``. Those of its parts have names like
        ``inference__max_iter``. Parameters that only `fit` reads take effect when it is
        called again, for instance to continue training with
        ``training__warm_start=True``.

    Returns
    -------
    BaseEnhancer
        Fitted; or another estimator, if that was saved.

    Raises
    ------
    ValueError
        If there is no model of that name; if the file holds no model, a damaged one or
        one of other classes; or if a parameter is unknown or out of range.
    FileNotFoundError
        If there is no such file.

    Warns
    -----
    UserWarning
        If a method that learns from speech is fitted on synthetic speech.

    See Also
    --------
    save_pretrained : Write a fitted estimator to a file.

    Examples
    --------
    >>> from skvae.datasets import make_dataset
    >>> noisy, clean = make_dataset(2, random_state=0)
    >>> enhancer = load_pretrained("log-mmse", min_prior_snr=-25.0)
    >>> enhancer
    LogMMSE(min_prior_snr=-25.0)
    >>> len(enhancer.transform(noisy))
    2
    """
    path, known = find_model_file(name_or_path), Classes(classes)
    if path is None:
        return _fit_method(str(name_or_path), known, clean, params)
    if clean is not None:
        raise ValueError(
            f"`clean` is for methods that are fitted here, and {path.stem!r} is fitted "
            "already: to continue training, load it with training__warm_start=True "
            "and call its fit."
        )
    estimator = read_model(path, classes=known)
    if params:
        _change(estimator, params)
    return estimator


def save_pretrained(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    description: str = "",
    training_data: str = "",
    license: str = "",
    attributions: Sequence[str] = (),
    figures: Mapping[str, float | str] | None = None,
    date: str = "",
    dtype: str = "float32",
) -> None:
    """Write a fitted estimator to a file, completely or not at all.

    The file has the safetensors format, which other programs read as well. It does not
    contain parameters that hold recordings or name files (`mixer`, `noise_profile`,
    `checkpoint`), nor those of the computation (`device`, `n_jobs`, `verbose`), which
    have their defaults in a loaded estimator. Of estimators among the parameters it
    contains the settings, and what they have learned only if that is in use, such as a
    frozen `vae`.

    Parameters
    ----------
    estimator : estimator
        Fitted; of skvae, or of a class derived from one of skvae.
    path : str or path-like
        Path that ends in ".safetensors". An existing file is replaced.
    name : str, default=None
        Name of the model; None means that of the file.
    description : str, default=""
        Description in one line.
    training_data : str, default=""
        Training data.
    license : str, default=""
        License of the weights.
    attributions : sequence of str, default=()
        Credits that the licenses of the training data require.
    figures : mapping of str to float or str, default=None
        Measured values by title: ``{"SI-SDR improvement at 0 dB (dB)": 9.1}``.
    date : str, default=""
        Date of the weights, such as "2026-11-20", which ``skvae models`` shows.
    dtype : {"float32", "float16"}, default="float32"
        Data type of the weights of networks in the file. float16 halves the size of the
        file; loaded weights are float32.

    Raises
    ------
    ValueError
        If the estimator is not fitted, of another class, or has something that a file
        cannot hold.

    See Also
    --------
    load_pretrained : Load the file.

    Examples
    --------
    >>> import os, tempfile
    >>> from skvae import SpeechVAE, Training
    >>> from skvae.datasets import make_speech
    >>> speech = [make_speech(16000, random_state=k) for k in range(3)]
    >>> vae = SpeechVAE(4, 16, training=Training(1), random_state=0).fit(speech)
    >>> path = os.path.join(tempfile.mkdtemp(), "speech.safetensors")
    >>> save_pretrained(vae, path, training_data="synthetic", license="CC0")
    >>> load_pretrained(path).score(speech) == vae.score(speech)
    True
    """
    card = ModelCard(
        Path(path).stem if name is None else name,
        description,
        training_data,
        license,
        tuple(attributions),
        {} if figures is None else figures,
        date,
    )
    write_model(estimator, path, card, dtype=dtype)


def find_model_file(name_or_path: str | os.PathLike[str]) -> Path | None:
    """Find the file of a model.

    Parameters
    ----------
    name_or_path : str or path-like
        As for :func:`load_pretrained`. A name takes precedence over a file of that
        name: write ``"./best"`` for the file.

    Returns
    -------
    Path or None
        None for a method, which has none.

    Raises
    ------
    ValueError
        If it is neither a name nor a path.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> find_model_file("wiener") is None
    True
    """
    if isinstance(name_or_path, str):
        name, _, pin = name_or_path.partition("@")
        if name_or_path in model_names():
            return packaged().get(name_or_path)
        if pin and name in model_names():
            return pinned(name, pin)
    if is_class_name(name_or_path):
        return None
    if not isinstance(name_or_path, str | os.PathLike):
        raise ValueError(
            f"`name_or_path` must be a name or a path, got {name_or_path!r}."
        )
    path = Path(name_or_path)
    is_name = path.name == name_or_path and path.suffix != SUFFIX
    if is_name and not path.is_file():
        names = ", ".join(map(repr, model_names()))
        raise ValueError(
            f"`name_or_path` must be one of {names}, or the path of a file that "
            f"save_pretrained wrote, got {name_or_path!r}"
            + _hint(name_or_path, model_names())
        )
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such model file.")
    return path


def _hint(name: Any, names: Iterable[str]) -> str:
    hint = did_you_mean(name, names)
    return f": {hint}" if hint else "."


def has_own_rate(
    name_or_path: str | os.PathLike[str], classes: Iterable[type | str] = ()
) -> bool:
    """Whether a model works only at the sample rate that it was fitted at.

    Parameters
    ----------
    name_or_path, classes
        As for :func:`load_pretrained`.

    Returns
    -------
    bool
        If not, it is a method that takes any `stft`.

    Examples
    --------
    >>> has_own_rate("wiener"), has_own_rate("is-nmf")
    (False, True)
    """
    if find_model_file(name_or_path) is not None:
        return True
    return _find_method(str(name_or_path), Classes(classes))[1]


def _find_method(name: str, classes: Classes) -> tuple[type[BaseEnhancer], bool]:
    """Class of a method, and whether it learns from speech."""
    if is_class_name(name):
        cls = classes.find(name)
        if not issubclass(cls, BaseEnhancer) or inspect.isabstract(cls):
            raise ValueError(
                f"{name} must be an enhancer: derive it from BaseEnhancer."
            )
        # A class that learns from speech declares what it learns.
        return cls, learned_attributes(cls) != learned_attributes(BaseEnhancer)
    [record] = [method for method in METHODS if method.name == name]
    module, _, last = record.path.rpartition(".")
    return getattr(importlib.import_module(module), last), record.learns


def _fit_method(
    name: str, classes: Classes, clean: Any, params: dict[str, Any]
) -> BaseEnhancer:
    constructor, learns = _find_method(name, classes)
    if learns or is_class_name(name):
        params.setdefault("random_state", 0)  # the same results every time
    names = constructor._get_param_names()
    for key in params:
        if key not in names:
            hint = did_you_mean(key, names) or f"it has {', '.join(names)}."
            raise ValueError(
                f"Invalid parameter {key!r} for estimator {constructor.__name__}: "
                f"{hint}"
            )
    enhancer = constructor(**params)
    if clean is None and learns:
        warnings.warn(
            f"{name!r} learns from speech, and was fitted on synthetic speech, which "
            "is a poor substitute for recordings. In Python, pass recordings: "
            f"load_pretrained({name!r}, clean=[...]).",
            UserWarning,
            stacklevel=3,
        )
        clean = _synthetic_speech(enhancer)
    # Other methods learn nothing: any utterance will do.
    return enhancer.fit([np.zeros(1)] if clean is None else clean)


def _change(estimator: Any, params: dict[str, Any]) -> None:
    """Set parameters of a fitted estimator that are consistent with what it learned."""
    for name, value in params.items():
        if not _LEARNED.isdisjoint(name.split("__")) and value is not None:
            raise ValueError(
                f"`{name}` cannot be changed: the model was trained with it."
            )
    estimator.set_params(**params)
    check_parameters(estimator)
    # What it has learned must still have the sizes that the parameters give.
    rebuild(*describe(estimator), classes=other_classes(estimator))


def _synthetic_speech(enhancer: BaseEnhancer) -> list[np.ndarray]:
    from skvae.datasets import make_speech
    from skvae.signal.stft import STFT

    rate = (enhancer.stft or STFT()).sample_rate
    return [
        make_speech(_STAND_IN_SECONDS * rate, rate, random_state=seed)
        for seed in range(_N_STAND_INS)
    ]
