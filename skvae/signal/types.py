"""Types of what estimators take, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skvae.signal.spectrogram import Spectrogram

Method = TypeVar("Method", bound=Callable[..., Any])


class Waveform(Protocol):
    """A 1-D array, or an object that reads itself, such as an AudioFile."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the samples."""

    def __len__(self) -> int: ...

    def __array__(self) -> NDArray[Any]: ...


#: A list of waveforms, a 2-D array with an utterance in each row, or a list of
#: spectrograms.
Utterances: TypeAlias = "Sequence[Spectrogram] | NDArray[Any] | Sequence[Waveform]"

if TYPE_CHECKING:

    def with_callbacks(method: Method) -> Method:
        """Let scikit-learn's callbacks follow `fit`, whose signature is kept."""

else:
    from sklearn.callback import with_callbacks as with_callbacks
