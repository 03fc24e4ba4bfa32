"""Strengths of the noise reduction by name."""

from __future__ import annotations

from typing import Literal, TypeAlias

from skvae.utils.parameters import check_option

#: Name of a strength. "auto" is the limit of the model, or "normal" if it has none.
Preset: TypeAlias = Literal["auto", "gentle", "normal", "strong"]

#: Attenuation limit in dB of each preset; None means no limit. Chosen on validation
#: data (benchmarks/presets.py).
PRESETS: dict[str, float | None] = {"gentle": 12.0, "normal": 24.0, "strong": None}

#: Preset of models without a limit of their own.
DEFAULT = "normal"


def preset_limit(preset: str, own_limit: float | None) -> float | None:
    """Return the attenuation limit of a preset in dB.

    Parameters
    ----------
    preset : {"auto", "gentle", "normal", "strong"}
        Name of the preset.
    own_limit : float or None
        Attenuation limit of the model. None means that it has none.

    Returns
    -------
    float or None
        None means no limit.

    Raises
    ------
    ValueError
        If there is no such preset.

    Examples
    --------
    >>> preset_limit("gentle", None), preset_limit("strong", 15.0)
    (12.0, None)
    >>> preset_limit("auto", None), preset_limit("auto", 15.0)
    (24.0, 15.0)
    """
    check_option("preset", preset, ("auto", *PRESETS))
    if preset == "auto":
        return PRESETS[DEFAULT] if own_limit is None else own_limit
    return PRESETS[preset]
