"""Names of the formats that outputs can be converted to.

Nothing here takes time to import, so that help and completion are fast.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

FormatName: TypeAlias = Literal["wav", "flac", "mp3", "ogg", "opus"]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)

#: Format of recordings whose own format cannot be written. It loses nothing.
DEFAULT_FORMAT: FormatName = "flac"
