"""Files that training goes on from, after whatever ended it.

A file holds arrays and a line of JSON, in NumPy's format and without a pickle. It is
written beside the one before and then takes its place, which file systems do at once:
whenever the process is killed, one of the two is there and whole.
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

#: First of all in the JSON: what the file is, and the version of what it holds.
_FORMAT = "skvae training 1"

#: Names of the JSON, of the generators' group, and of what a kill may leave behind.
_FACTS, _GENERATORS, _PART = "facts", "generators", ".part"


@dataclass(frozen=True)
class Checkpoint:
    """A file that training is written to after each epoch, and goes on from.

    One process at a time may use it.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must be there. While it is written, a second one with
        ".part" after its name is there too.
    fingerprint : str
        Stands for all that the result depends on: a hash of parameters, data, device.
        The checkpoint of another training is refused.
    generators : mapping of str to Generator, default={}
        All generators, of NumPy and PyTorch, that training draws from and does not
        seed anew each time. Those spawned from NumPy's are no part of its state.

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
        """Write the file, with the states of the generators.

        Parameters
        ----------
        facts : mapping
            What JSON can hold.
        tensors : mapping of str to mapping of str to Tensor
            Groups of tensors, on any device. A group's name has no "/".
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
        # The states of some bit generators hold arrays, and take lists as well.
        text = json.dumps(header, default=np.ndarray.tolist)
        arrays: dict[str, Any] = {
            f"{group}/{name}": tensor.detach().cpu().numpy()
            for group, named in [*tensors.items(), (_GENERATORS, draws)]
            for name, tensor in named.items()
        }
        arrays[_FACTS] = np.frombuffer(text.encode(), np.uint8)
        # One name, so that the killed leave no more than one file.
        with written_whole(self.path, os.fspath(self.path) + _PART) as file:
            np.savez(file, **arrays)

    def load(self) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]] | None:
        """Read the file, and set the generators to where they stood.

        Returns
        -------
        facts : dict
        tensors : dict of str to dict of str to Tensor
            As they were saved, on the CPU. A group that was empty is so again.

        None instead of both if there is no file yet.

        Raises
        ------
        ValueError
            If the file is that of another training, or damaged, or no such file.
        """
        if not os.path.exists(self.path):
            folder = os.path.dirname(os.path.abspath(self.path))
            if not os.path.isdir(folder):  # better known now than after an epoch
                raise ValueError(
                    f"`path` must be in a folder that is there, got {self.path}."
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
            # Bytes that are not what they should be make NumPy, the ZIP archive in its
            # file and JSON raise nearly anything.
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
                    f"generator {name!r} is of another kind or device than in "
                    f"{self.path}: {error}"
                ) from error
