"""Names of the models and recipes of the package.

Nothing here takes time to import, so that help and completion are fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from skvae.storage.model_files import ModelFile

#: Ending of model files.
SUFFIX = ".safetensors"

#: Names of the models of the package, all of which are enhancers.
Name: TypeAlias = Literal[
    "spectral-subtraction", "wiener", "log-mmse", "is-nmf", "rpca", "best", "vae-nmf"
]

#: Folder of the model files of the package.
WEIGHTS = Path(__file__).parent / "weights"

#: Folder of the recipes of the package.
RECIPES = Path(__file__).parent / "recipes"


class ModelRecord(NamedTuple):
    """Entry in the list of models.

    Attributes
    ----------
    name : str
        Name for :func:`load_pretrained`.
    path : str
        Module and class of a method, or file of a trained model.
    description : str
        Description in one line.
    learns : bool
        Whether the method must be fitted on clean speech.
    file : ModelFile or None
        Facts about the file of a trained model: its card, its sample rate, its size.
    """

    name: str
    path: str
    description: str
    learns: bool = False
    file: ModelFile | None = None


#: Methods of the package, which need no file.
METHODS = (
    ModelRecord(
        "spectral-subtraction",
        "skvae.classical.spectral_subtraction.SpectralSubtraction",
        "Subtracts the power of the noise; the fastest",
    ),
    ModelRecord(
        "wiener",
        "skvae.classical.wiener.WienerFilter",
        "Wiener filter with a smoothed a priori SNR",
    ),
    ModelRecord(
        "log-mmse",
        "skvae.classical.log_mmse.LogMMSE",
        "Log-spectral amplitude estimator of Ephraim and Malah",
    ),
    ModelRecord(
        "is-nmf",
        "skvae.factorization.isnmf.ISNMF",
        "Itakura-Saito NMF: a dictionary of speech; noise learned from the mixture",
        learns=True,
    ),
    ModelRecord(
        "rpca",
        "skvae.factorization.rpca.RPCA",
        "Robust PCA: sparse speech in noise of low rank",
    ),
)


def model_names() -> list[str]:
    """List the names that :func:`skvae.load_pretrained` knows.

    Returns
    -------
    list of str
        Names of :func:`skvae.list_models`. No file is opened.

    Examples
    --------
    >>> "wiener" in model_names()
    True
    """
    return [*(method.name for method in METHODS), *packaged()]


def packaged() -> dict[str, Path]:
    """Find the trained models of the package.

    Returns
    -------
    dict of str to Path
        Their files by name.

    Examples
    --------
    >>> packaged()["best"].name
    'best.safetensors'
    """
    return {path.stem: path for path in sorted(WEIGHTS.glob(f"*{SUFFIX}"))}


def recipe_names() -> list[str]:
    """List the recipes of the package.

    Returns
    -------
    list of str
        Their names.

    Examples
    --------
    >>> "speech-vae" in recipe_names()
    True
    """
    return sorted(path.stem for path in RECIPES.glob("*.toml"))
