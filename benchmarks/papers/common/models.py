"""Models of the papers' systems, loaded from a folder or trained from recipes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from variants import variant

from common.corpora import Training
from common.run import Record, Run
from skvae import load_pretrained, save_pretrained
from skvae.estimator import SpeechEstimator
from skvae.storage import recipe_files
from skvae.storage.model_files import read_summary
from skvae.storage.names import recipe_names
from skvae.storage.recipe_files import Recipe, parts, read_recipe
from skvae.training.estimator import TrainedEstimator

#: Suffix of the checkpoint of a model, as in ``skvae train``.
CHECKPOINT = ".checkpoint"

#: Prefix of the models that a quick run trains.
HASTY = "quick-"

#: Folders of recipes that take precedence over those of the package.
RECIPES = [Path(__file__).resolve().parents[k] / "recipes" for k in (1, 2)]

#: Data to fit an enhancer whose parts are already trained.
NOTHING = [np.zeros(10)]


class MissingModel(Exception):  # noqa: N818 - a missing model is not an error
    """The model does not exist, and training is disabled."""


class Models:
    """Models by the names of their recipes.

    Parameters
    ----------
    run : Run
        The run.
    training : callable
        Function that returns the training data, called only if a model is trained.
    record : Record
        Record to which the models are added.
    """

    def __init__(self, run: Run, training: Callable[[], Training], record: Record):
        self._run = run
        self._training = training
        self._record = record
        self._loaded: dict[str, Any] = {}

    def load(self, name: str) -> Any:
        """Load a model; train it if it is missing."""
        if name not in self._loaded:
            path = self._find(name)
            model = load_pretrained(path)
            self._record.add_model(name, model, read_summary(path).card.training_data)
            self._loaded[name] = model
        return self._loaded[name]

    def variant(self, name: str, changes: dict[str, Any] | None) -> Any:
        """Return a model with other parameters and the same trained parts."""
        model = self.load(name)
        if not changes:
            return model
        if "inference" in changes:
            inference = self.shortened(changes["inference"])
            changes = {**changes, "inference": inference}
        return variant(model, changes).fit(NOTHING)

    def shortened(self, inference: Any) -> Any:
        """Limit the iterations of an inference to those of the run."""
        max_iter = self._run.scale.max_iter
        if max_iter is None:
            return inference
        known = inference.get_params()
        # The sweeps of MCMC are its iterations; other burn-ins are inside of one.
        names = ["max_iter"] if "max_iter" in known else ["n_burn_in", "n_samples"]
        return type(inference)(
            **{**known, **{name: min(known[name], max_iter) for name in names}}
        )

    def _find(self, name: str) -> Path:
        folder = self._run.models
        path = folder / f"{name}.safetensors"
        if path.exists():
            return path
        if self._run.is_quick:
            path = folder / f"{HASTY}{name}.safetensors"
        if not path.exists():
            if not self._run.trains:
                raise MissingModel(f"model {name!r} does not exist")
            self._train(name, path)
        return path

    def _train(self, name: str, path: Path) -> None:
        recipe = read_recipe(find_recipe(name))
        scale = self._run.scale
        data = self._training().first(scale.n_train)
        self._set_up(recipe, path)
        print(f"training {name} on {data.told}", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if data.noisy is not None and recipe.mixers:
            recipe.estimator.fit(data.noisy, data.clean)
        else:
            if data.noise is not None and recipe.mixers:
                names = (f"{mixer}__noise" for mixer in recipe.mixers)
                recipe.estimator.set_params(**dict.fromkeys(names, data.noise))
            recipe.estimator.fit(data.clean)
        card = recipe.card._replace(training_data=data.told)
        save_pretrained(recipe.estimator, path, dtype=recipe.dtype, **card._asdict())
        for checkpoint in path.parent.glob(f"{path.name}{CHECKPOINT}*"):
            checkpoint.unlink()

    def _set_up(self, recipe: Recipe, path: Path) -> None:
        """Set the seed and checkpoint of each part, and the limits of a quick run."""
        for name, part in parts(recipe.estimator):
            if not isinstance(part, SpeechEstimator):
                continue
            part.set_params(random_state=self._run.seed, verbose=1)
            if isinstance(part, TrainedEstimator):
                end = f".{name}" if name else ""
                part.set_params(training__checkpoint=f"{path}{CHECKPOINT}{end}")
                known = part.get_params()
                changes = self._run.scale.training
                part.set_params(**{k: v for k, v in changes.items() if k in known})
        if "device" in recipe.estimator.get_params(deep=False):
            recipe.estimator.set_params(device="auto")


def find_recipe(name: str) -> Path:
    """Find a recipe of the papers, of the other benchmarks, or of the package."""
    for folder in RECIPES:
        if (folder / f"{name}.toml").exists():
            return folder / f"{name}.toml"
    if name not in recipe_names():
        raise SystemExit(f"recipe {name!r} does not exist.")
    return recipe_files.find_recipe(name)
