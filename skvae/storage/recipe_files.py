"""Recipes: TOML files that describe a model to train and the card of its file.

A recipe is a TOML file::

    name = "speech-8k"
    description = "Speech on the telephone"
    training_data = "400 recordings of 40 speakers"   # this and the next two: optional
    license = "CC BY 4.0"
    attributions = ["Speech by A. Nybody, CC BY 4.0"]
    dtype = "float16"                                 # of the weights in the file

    [estimator]
    class = "VAENMFEnhancer"

    [estimator.stft]
    class = "STFT"
    n_fft = 512
    sample_rate = 8000

    [estimator.vae]
    frozen = "speech.safetensors"

    [estimator.noise]
    class = "NMFNoise"
    n_components = 5

    [estimator.guide]
    class = "BiLSTMMask"

    [estimator.guide.training]
    max_iter = 40

    [estimator.guide.mixer]
    class = "Mixer"
    snr = { low = -5.0, high = 15.0 }

A table with `class` is an estimator of this package, a `Mixer`, or one of its parts
(`Augmentation`, `Rooms`, `Channel`); its other keys are the parameters. A table
`training` needs no `class`, which is always `Training`. A class outside skvae is named
as `class = "package.module:Class"`; the user must allow it. A table with `frozen` is
the estimator of a model file, named relative to the recipe, or a model of the package;
it is not trained. A table of `low` and `high` is a pair, which parameters such as `snr`
take as a range; a list may hold such tables. The string "none" is None, which TOML does
not have. A mixer uses the recordings of noise that the user passes, or, with `noise =
"synthetic"`, synthetic noise. Parameters of a single training, such as files and
devices (:data:`NOT_SAID`), are not part of a recipe.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from skvae.datasets import Augmentation, Channel, Mixer, Rooms
from skvae.estimator import SpeechEstimator
from skvae.storage.classes import Classes, public_classes
from skvae.storage.estimators import check_parameters
from skvae.storage.model_files import DTYPES, ModelCard, read_model
from skvae.storage.names import RECIPES, SUFFIX, recipe_names
from skvae.storage.pretrained import find_model_file
from skvae.utils.parameters import check_real
from skvae.utils.words import did_you_mean, shortened

#: Parameters that a recipe must not set: files, devices and output.
NOT_SAID = frozenset(
    {
        "checkpoint",
        "device",
        "n_jobs",
        "noise_profile",
        "responses",
        "verbose",
        "warm_start",
    }
)

#: Value of a mixer's `noise` in a recipe.
SYNTHETIC = "synthetic"

#: Value that means None.
NONE = "none"

#: Classes that recipes may name in addition to estimators.
_OF_MIXTURES: dict[str, type] = {
    cls.__name__: cls for cls in (Mixer, Augmentation, Rooms, Channel)
}

#: Classes that None means for these parameters. Made explicit, each part can have a
#: checkpoint of its own.
_DEFAULTS = {"mixer": "Mixer", "vae": "SpeechVAE"}

#: Parameters whose table needs no `class`, and their classes.
_IMPLIED = {"training": "Training"}

#: Number of samples with which a mixer is tried.
_N_TRIED = 100


class Recipe(NamedTuple):
    """Content of a recipe.

    Attributes
    ----------
    card : ModelCard
        Description of the model.
    dtype : str
        Data type of the weights in its file, as for :func:`skvae.save_pretrained`.
    estimator : estimator
        Unfitted, as are its parts unless they are frozen.
    mixers : tuple of str
        Mixers that take recordings of noise, by their names in `set_params`.
    """

    card: ModelCard
    dtype: str
    estimator: Any
    mixers: tuple[str, ...]


def find_recipe(name_or_path: str | os.PathLike[str]) -> Path:
    """Find the file of a recipe.

    Parameters
    ----------
    name_or_path : str or path-like
        One of :func:`recipe_names`, or the path of a TOML file. A name takes precedence
        over a file of that name: write ``"./best"`` for the file.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If it is neither a name nor the path of a file.

    Examples
    --------
    >>> find_recipe("speech-vae").name
    'speech-vae.toml'
    """
    if isinstance(name_or_path, str) and name_or_path in recipe_names():
        return RECIPES / f"{name_or_path}.toml"
    if not isinstance(name_or_path, str | os.PathLike):
        raise ValueError(
            f"`name_or_path` must be a name or a path, got {name_or_path!r}."
        )
    path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"{path}: there is no such recipe; choose from "
            f"{', '.join(recipe_names())}, or name a TOML file"
            + (f": {hint}" if (hint := did_you_mean(path, recipe_names())) else ".")
        )
    return path


def read_recipe(
    name_or_path: str | os.PathLike[str],
    changes: Mapping[str, Any] | None = None,
    *,
    classes: Iterable[type | str] = (),
) -> Recipe:
    """Read a recipe, and make the estimator that it describes.

    Parameters
    ----------
    name_or_path : str or path-like
        As for :func:`find_recipe`.
    changes : mapping of str to object, default=None
        Parameters to change: names as for `set_params`, such as ``vae__n_latent``, and
        values as TOML would give them.
    classes : iterable of type or str, default=()
        Classes outside skvae that the recipe may name as ``"package.module:Class"``.
        Strings of that form are imported; a recipe alone imports nothing.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        If there is no such recipe, if it is no TOML, or if a key, a class or a value is
        wrong. The message names the file and the key.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> recipe = read_recipe("speech-vae", {"n_latent": 8})
    >>> recipe.card.name, recipe.estimator.n_latent, recipe.mixers
    ('speech-vae', 8, ())
    """
    path, known = find_recipe(name_or_path), Classes(classes)
    with open(path, "rb") as file:
        try:
            tree = tomllib.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is no TOML file: {error}.") from error
    reader = _Reader(path, known)
    card, dtype = reader.card(tree)
    node = reader.table(tree, "estimator")
    for name, value in (changes or {}).items():
        reader.change(node, name, value)
    estimator = reader.estimator(node, "estimator")
    if not isinstance(estimator, SpeechEstimator):
        wanted = "an enhancer or a model of speech"
        raise reader.error("estimator.class", wanted, node["class"])
    mixers = tuple(
        name
        for name, part in parts(estimator)
        if isinstance(part, Mixer) and not reader.stays_synthetic(part)
    )
    return Recipe(card, dtype, estimator, mixers)


def parts(estimator: BaseEstimator, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield an estimator and the estimators among its parameters, except frozen ones.

    Parameters
    ----------
    estimator : estimator
        The estimator.
    name : str, default=""
        Its name.

    Yields
    ------
    name : str
        Name in `set_params`; "" is the estimator itself.
    part : estimator
        The part itself, not a copy.

    Examples
    --------
    >>> from skvae import SpeechVAE, VAENMFEnhancer
    >>> [name for name, part in parts(VAENMFEnhancer(SpeechVAE()))]
    ['', 'vae']
    """
    yield name, estimator
    for key, value in estimator.get_params(deep=False).items():
        if isinstance(value, BaseEstimator) and not isinstance(value, FrozenEstimator):
            yield from parts(value, f"{name}__{key}" if name else key)


class _Reader:
    """Makes estimators of tables, with errors that name the key."""

    def __init__(self, path: Path, classes: Classes):
        self.path = path
        self.classes = classes
        self._synthetic: list[Mixer] = []

    def error(self, where: str, wanted: str, got: Any) -> ValueError:
        return ValueError(
            f"{self.path}: `{where}` must be {wanted}, "
            f"got {'nothing' if got is None else shortened(got)}."
        )

    def stays_synthetic(self, mixer: Mixer) -> bool:
        return any(mixer is other for other in self._synthetic)

    def table(self, tree: Mapping[str, Any], key: str) -> dict[str, Any]:
        if not isinstance(tree.get(key), dict):
            raise self.error(key, "a table", tree.get(key))
        return dict(tree[key])

    def card(self, tree: Mapping[str, Any]) -> tuple[ModelCard, str]:
        texts = ("name", "description", "training_data", "license")
        known = (*texts, "attributions", "dtype", "estimator")
        for key in tree:
            if key not in known:
                raise ValueError(
                    f"{self.path}: `{key}` is no key of a recipe; the keys are "
                    f"{', '.join(known)}."
                )
        for key in texts:
            if not isinstance(tree.get(key, ""), str):
                raise self.error(key, "a string", tree[key])
        if not tree.get("name"):
            raise self.error("name", "the name of the model", tree.get("name"))
        attributions = tree.get("attributions", [])
        if not isinstance(attributions, list) or not all(
            isinstance(text, str) for text in attributions
        ):
            raise self.error("attributions", "a list of strings", attributions)
        dtype = tree.get("dtype", DTYPES[0])
        if dtype not in DTYPES:
            raise self.error("dtype", f"one of {', '.join(DTYPES)}", dtype)
        words = {key: tree.get(key, "") for key in texts}
        return ModelCard(**words, attributions=tuple(attributions)), dtype

    def change(self, node: dict[str, Any], name: str, value: Any) -> None:
        """Change a parameter; whether it exists is checked later."""
        *path, key = name.split("__")
        where = "estimator"
        for part in path:
            where = f"{where}.{part}"
            if part in _IMPLIED:
                node.setdefault(part, {})
            if not isinstance(node.get(part), dict):
                raise ValueError(
                    f"{self.path}: `{name}` cannot be set, since there is no table "
                    f"[{where}]."
                )
            node[part] = node = dict(node[part])
        if key == "class":
            raise ValueError(f"{self.path}: `{name}` is no parameter.")
        node[key] = value

    def estimator(self, node: dict[str, Any], where: str) -> Any:
        constructor = self.constructor(node.get("class"), f"{where}.class")
        defaults = constructor._get_param_names()
        parameters = {}
        for key, value in node.items():
            if key == "class":
                continue
            here = f"{where}.{key}"
            if constructor is Mixer and key == "noise":
                if value != SYNTHETIC:
                    raise self.error(here, f'"{SYNTHETIC}", or left out', value)
            elif key in NOT_SAID and key in defaults:
                raise ValueError(
                    f"{self.path}: `{here}` is a parameter of a single training, and "
                    "not part of a recipe."
                )
            elif key not in defaults:
                known = [name for name in defaults if name not in NOT_SAID]
                hint = did_you_mean(key, known)
                hint = hint or f"its parameters are {', '.join(known)}."
                raise ValueError(
                    f"{self.path}: `{here}` is no parameter of {node['class']}: {hint}"
                )
            else:
                if key in _IMPLIED and isinstance(value, dict):
                    value = {"class": _IMPLIED[key], **value}
                parameters[key] = self.value(value, here)
        for key, name in _DEFAULTS.items():
            if key in defaults and parameters.get(key) is None:
                part = constructor(**parameters)._make_part(key, None)
                if part is None:
                    part = self.constructor(name, where)()
                parameters[key] = part
        estimator = constructor(**parameters)
        if constructor is Mixer and node.get("noise") == SYNTHETIC:
            self._synthetic.append(estimator)
        self.check(estimator, where)
        return estimator

    def constructor(self, name: Any, where: str) -> Any:
        if isinstance(name, str) and name in _OF_MIXTURES:
            return _OF_MIXTURES[name]
        try:
            return self.classes.find(name)
        except ValueError as error:
            if isinstance(name, str) and ":" in name:
                raise ValueError(f"{self.path}: `{where}`: {error}") from error
            names = [*public_classes(), *_OF_MIXTURES]
            if hint := did_you_mean(name, names):
                raise ValueError(
                    f"{self.path}: `{where}` names no class, {shortened(name)}: {hint}"
                ) from error
            wanted = f"one of {', '.join(names)}, or package.module:Class"
            raise self.error(where, wanted, name) from error

    def value(self, value: Any, where: str) -> Any:
        if isinstance(value, dict):
            if "class" in value:
                return self.estimator(value, where)
            if value.keys() == {"frozen"}:
                return self.frozen(value["frozen"], f"{where}.frozen")
            if value.keys() == {"low", "high"}:
                return self.range(value, where)
            raise self.error(
                where,
                "a table with `class` and parameters, with `frozen`, or with `low` and "
                "`high`",
                value,
            )
        if isinstance(value, list):
            return [self.item(item, f"{where}[{k}]") for k, item in enumerate(value)]
        return None if value == NONE else self.plain(value, where)

    def item(self, value: Any, where: str) -> Any:
        if isinstance(value, dict) and value.keys() == {"low", "high"}:
            return self.range(value, where)
        return self.plain(value, where)

    def range(self, value: Mapping[str, Any], where: str) -> tuple[Any, Any]:
        low, high = (self.plain(value[k], f"{where}.{k}") for k in ("low", "high"))
        return low, high

    def plain(self, value: Any, where: str) -> Any:
        if not isinstance(value, str | bool | int | float):
            raise self.error(where, "a number, a string, true or false", value)
        return value

    def frozen(self, name: Any, where: str) -> FrozenEstimator:
        if not isinstance(name, str):
            raise self.error(where, "the name of a model file", name)
        try:
            # Relative to the recipe, not to the current folder.
            path = find_model_file(
                self.path.parent / name if name.endswith(SUFFIX) else name
            )
            if path is None:
                raise ValueError(f"{name!r} is a method without training.")
            return FrozenEstimator(read_model(path, classes=self.classes))
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path}: `{where}`: {error}") from error

    def check(self, estimator: Any, where: str) -> None:
        try:
            if isinstance(estimator, Mixer):
                _try(estimator)
            else:
                check_parameters(estimator)
                seed = getattr(estimator, "random_state", None)
                check_real("random_state", seed, low=0, integer=True, optional=True)
        # The checks expect values that people pass, but files may hold anything.
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            raise ValueError(
                f"{self.path}: the parameters of `{where}` are inconsistent: {error}."
            ) from error
        except ValueError as error:
            raise ValueError(f"{self.path}: `{where}`: {error}") from error


def _try(mixer: Mixer) -> None:
    """Let a mixer check its parameters, which it does when it mixes."""
    noise = np.ones(_N_TRIED)
    clone(mixer).set_params(noise=[noise]).mix(noise, rng=0)
