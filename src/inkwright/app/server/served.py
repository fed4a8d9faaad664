"""The models a server has, each under a name. A name is looked up in a table and never joined to a path."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from inkwright.app.server.refusal import Refused
from inkwright.errors import quoted
from inkwright.language_model import LanguageModel


@dataclass(frozen=True)
class Served:
    """One model, as it was when the server began: whatever happens to its files, this one goes on writing."""

    name: str
    folder: Path
    lm: LanguageModel
    created: int = field(default_factory=lambda: int(time.time()))

    @cached_property
    def fingerprint(self) -> str:
        """Two models with the same one have the same weights."""
        weights = hashlib.sha256()
        for name, tensor in sorted(self.lm.model.state_dict().items()):
            weights.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return "fp_" + weights.hexdigest()[:16]


class Shelf(Mapping[str, Served]):
    """All models of a server by name, the first one first."""

    def __init__(self, models: Sequence[Served]) -> None:
        self._models = {served.name: served for served in models}

    def __getitem__(self, name: str) -> Served:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def find(self, name: object) -> Served:
        """The model of that name.

        Raises: Refused   404 model_not_found
        """
        if isinstance(name, str) and name in self._models:
            return self._models[name]
        loaded = ", ".join(quoted(known) for known in self._models)
        missing = f'Model "{quoted(name)}" is not loaded.' if isinstance(name, str) else "model must name one."
        raise Refused(404, "model_not_found", f"{missing} Loaded: {loaded}", "model")


def names_for(folders: Sequence[Path]) -> list[str]:
    """A name for each folder: the last part of its path, with a number where two are the same."""
    names: list[str] = []
    for folder in folders:
        base = name = quoted(os.path.basename(os.path.abspath(folder)) or "model")
        number = 1
        while name in names:
            number += 1
            name = f"{base}-{number}"
        names.append(name)
    return names
