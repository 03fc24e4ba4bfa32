"""Names of the models and recipes of the package.

Nothing here takes time to import, so that help and completion are fast.
"""

from __future__ import annotations

import hashlib
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

#: Number of digits of a hash that are shown, and that a pinned name has at least.
N_SHOWN, MIN_PIN = 12, 6

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


def file_hash(path: Path) -> str:
    """Compute the SHA-256 hash of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> len(file_hash(packaged()["best"]))
    64
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_known(name: str) -> bool:
    """Whether a name is that of a model, perhaps pinned to a hash.

    Parameters
    ----------
    name : str
        Name or path of a model.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_known("best"), is_known("best@3fa9c1"), is_known("best.safetensors")
    (True, True, False)
    """
    return name.partition("@")[0] in model_names()


def pinned(name: str, pin: str) -> Path:
    """Find the file of a trained model, and check its hash.

    Parameters
    ----------
    name : str
        Name of a model.
    pin : str
        First digits of the hash of its file.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the model has no file, or its file has another hash.

    Examples
    --------
    >>> pinned("best", "00000000")
    Traceback (most recent call last):
        ...
    ValueError: 'best@00000000' is not in this version of skvae, whose 'best' is
    'best@...': pass that, or install the version that has the other.
    """
    path = packaged().get(name)
    if path is None:
        raise ValueError(
            f"'{name}@{pin}' cannot be pinned: {name!r} is a method without a file. "
            f"Pass {name!r}, and pin the version of skvae."
        )
    if len(pin) < MIN_PIN or not set(pin) <= set("0123456789abcdef"):
        raise ValueError(
            f"'{name}@{pin}' must end in at least {MIN_PIN} of the digits of a hash "
            f"that `skvae models` shows, such as '{name}@{file_hash(path)[:N_SHOWN]}'."
        )
    if not (found := file_hash(path)).startswith(pin):
        raise ValueError(
            f"'{name}@{pin}' is not in this version of skvae, whose {name!r} is "
            f"'{name}@{found[:N_SHOWN]}': pass that, or install the version that has "
            "the other."
        )
    return path


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
