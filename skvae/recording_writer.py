"""Audio files that are written a part at a time, all channels together."""

from __future__ import annotations

import os

import numpy as np
import soundfile

from skvae.formats.encodings import Layout
from skvae.recording_files import encode, name_for_libsndfile
from skvae.utils.files import raise_write_error

#: Encodings that libsndfile 1.2.2 writes wrong: loud noise comes back as other noise.
_WRONG_WHEN_WRITTEN = frozenset({"ALAC_20", "ALAC_24", "ALAC_32"})


class RecordingWriter:
    """Audio file whose length is checked when it is closed.

    Parameters
    ----------
    path : str or path-like
        File to write.
    layout : Layout
        How to write it.
    n_samples : int
        Number of samples of each channel that will be written.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the encoding can only be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skvae.recording_files import RecordingReader
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> soundfile.write(folder / "a.flac", np.zeros((8, 2)), 8000)
    >>> with RecordingReader(folder / "a.flac") as recording:
    ...     with RecordingWriter(folder / "b.flac", recording.layout, 8) as copy:
    ...         copy.write(recording.read(0, 8))
    >>> soundfile.info(folder / "b.flac").frames
    8
    """

    def __init__(self, path: str | os.PathLike[str], layout: Layout, n_samples: int):
        self._path = path
        self._subtype = layout.subtype
        self._n_samples = n_samples
        rate, n_channels, file_format, subtype, endian, options = layout
        kind = {"format": file_format, "subtype": subtype, "endian": endian}
        try:
            if subtype in _WRONG_WHEN_WRITTEN:
                raise ValueError("libsndfile writes it incorrectly")
            if file_format == "SD2":
                raise ValueError("it consists of two files")
            if not soundfile.check_format(**kind):
                raise ValueError("soundfile can only read it")
            self._file = soundfile.SoundFile(
                name_for_libsndfile(path), "w", rate, n_channels, **kind, **options
            )
        except (soundfile.SoundFileError, ValueError) as error:
            raise_write_error(path)
            raise ValueError(
                f"{file_format} with {subtype}, {n_channels} channels and {rate} Hz "
                f"cannot be written ({error}): choose another format, such as flac."
            ) from error

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._file.close()
        # libsndfile does not report errors that occur when a file is closed.
        if kind is None:
            try:
                n_samples = soundfile.info(name_for_libsndfile(self._path)).frames
            except soundfile.SoundFileError:
                n_samples = 0
            if n_samples < self._n_samples:
                raise_write_error(self._path)
                raise OSError(
                    f"only {n_samples} of {self._n_samples} samples were written"
                )

    def write(self, samples: np.ndarray) -> None:
        """Append samples of shape (n_samples, n_channels)."""
        if not np.isfinite(samples).all():
            raise ValueError(
                "the enhanced recording contains NaN or inf, which is not written: "
                "the model file may be damaged; use another model."
            )
        try:
            self._file.write(encode(samples, self._subtype))
        except (soundfile.SoundFileError, AssertionError) as error:
            raise_write_error(self._path)
            raise OSError(f"writing failed: {error}") from error
