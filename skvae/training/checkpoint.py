"""Checkpoints: files from which an interrupted training resumes.

A file contains arrays and a line of JSON, in NumPy's format without a pickle. It is
written under another name and then replaces the previous file in one operation, so
there is always a complete file, whenever the process is killed.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae.utils.files import written_whole

#: Type of the file and version of its format, in the JSON.
_FORMAT = "skvae training 1"

#: Names of the JSON and of the group of generators, and suffix of an incomplete file.
_FACTS, _GENERATORS, _PART = "facts", "generators", ".part"


@dataclass(frozen=True)
class Checkpoint:
    """A file that is written after each epoch, and from which training resumes.

    Only one process at a time may use it.

    Parameters
    ----------
    path : str or path-like
        The file, in an existing folder. While it is written, there is a second file
        with the suffix ".part".
    fingerprint : str
        Hash of all that the result depends on, such as parameters and data. The
        checkpoint of another training is refused.
    generators : mapping of str to Generator, default={}
        All generators of NumPy and PyTorch that training draws from and does not seed
        again. The state of NumPy's generators excludes those that they have spawned.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import torch
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "vae.npz")
    ...     checkpoint = Checkpoint(path, "speech, seed 0", {"order": rng})
    ...     checkpoint.save({"epoch": 3}, {"weights": {"bias": torch.ones(2)}})
    ...     later = rng.random()
    ...     facts, tensors = checkpoint.load()
    >>> facts, tensors["weights"], rng.random() == later
    ({'epoch': 3}, {'bias': tensor([1., 1.])}, True)
    """

    path: str | os.PathLike[str]
    fingerprint: str
    generators: Mapping[str, np.random.Generator | torch.Generator] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        for name, generator in self.generators.items():
            if not isinstance(generator, np.random.Generator | torch.Generator):
                raise ValueError(
                    "`generators` must be generators of NumPy or PyTorch, but "
                    f"{name!r} is {generator!r}."
                )

    def save(
        self,
        facts: Mapping[str, Any],
        tensors: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """Write the file, including the states of the generators.

        Parameters
        ----------
        facts : mapping
            Values for JSON.
        tensors : mapping of str to mapping of str to Tensor
            Groups of tensors, on any device. Names of groups must not contain "/".
        """
        states = {}
        draws = {}
        for name, generator in self.generators.items():
            if isinstance(generator, torch.Generator):
                draws[name] = generator.get_state()
            else:
                states[name] = generator.bit_generator.state
        header = {
            "format": _FORMAT,
            "fingerprint": self.fingerprint,
            "facts": facts,
            "states": states,
        }
        # The states of some bit generators contain arrays; they accept lists as well.
        text = json.dumps(header, default=np.ndarray.tolist)
        arrays: dict[str, Any] = {
            f"{group}/{name}": tensor.detach().cpu().numpy()
            for group, named in [*tensors.items(), (_GENERATORS, draws)]
            for name, tensor in named.items()
        }
        arrays[_FACTS] = np.frombuffer(text.encode(), np.uint8)
        # A fixed name, so that killed processes leave at most one file.
        with written_whole(self.path, os.fspath(self.path) + _PART) as file:
            np.savez(file, **arrays)

    def load(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]] | None:
        """Read the file, and restore the states of the generators.

        Returns
        -------
        facts : dict
        tensors : dict of str to dict of str to Tensor
            As they were saved, on the CPU. Empty groups are restored as well.

        None instead of both if there is no file.

        Raises
        ------
        ValueError
            If the file is that of another training, damaged, or no checkpoint.
        """
        if not os.path.exists(self.path):
            folder = os.path.dirname(os.path.abspath(self.path))
            if not os.path.isdir(folder):  # found now rather than after an epoch
                raise ValueError(
                    f"`path` must be in an existing folder, got {self.path}."
                )
            return None
        header, tensors = self._read()
        if header["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{self.path} is the checkpoint of another training: its fingerprint "
                f"is {header['fingerprint']!r}, not {self.fingerprint!r}. Remove it, "
                "or give another `path`."
            )
        self._set_generators(header["states"], tensors.pop(_GENERATORS, {}))
        return header["facts"], tensors

    def _read(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        tensors: dict[str, dict[str, Tensor]] = defaultdict(dict)
        with open(self.path, "rb") as file:
            try:
                with np.load(file, allow_pickle=False) as arrays:
                    header = json.loads(arrays[_FACTS].tobytes())
                    if header["format"] != _FORMAT:
                        raise ValueError(f"its format is {header['format']!r}")
                    for key in arrays.files:
                        group, _, name = key.partition("/")
                        if key != _FACTS:
                            tensors[group][name] = torch.from_numpy(arrays[key])
            # Corrupt bytes make NumPy, ZIP and JSON raise nearly any exception.
            except Exception as error:
                raise ValueError(
                    f"{self.path} is no checkpoint of this version, or damaged "
                    f"({error}). Remove it to start anew."
                ) from error
        return header, tensors

    def _set_generators(
        self, states: Mapping[str, Any], draws: Mapping[str, Tensor]
    ) -> None:
        saved = {**states, **draws}
        if saved.keys() != self.generators.keys():
            raise ValueError(
                f"`generators` must be {sorted(saved)} as in {self.path}, "
                f"got {sorted(self.generators)}."
            )
        for name, generator in self.generators.items():
            try:
                if isinstance(generator, torch.Generator):
                    generator.set_state(saved[name])
                else:
                    generator.bit_generator.state = saved[name]
            except (RuntimeError, TypeError, ValueError) as error:
                raise ValueError(
                    f"generator {name!r} has another type or device than in "
                    f"{self.path}: {error}"
                ) from error
