"""Tensors in safetensors files, read row by row as they are wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor


class SavedTensors(Mapping[str, Tensor]):
    """The tensors of one file, or of the parts that the workers of a sharded run wrote.

    A tensor that every part holds is split over them by its first axis; one that only the first
    holds is whole.

    Args:
        paths: of the file, or of all its parts.

    Raises:
        ValueError: a file is no safetensors file, or a part is missing.
        OSError: a file cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        paths = sorted(paths, key=_part)
        if not paths or [_part(path) for path in paths] != list(range(1, len(paths) + 1)):
            raise ValueError(f"parts are missing beside {[path.name for path in paths]}")
        try:
            self._files: list[Any] = [safe_open(path, "pt") for path in paths]
        except SafetensorError as error:
            raise ValueError(str(error)) from None
        self._names = list(self._files[0].keys())
        later = [set(file.keys()) for file in self._files[1:]]
        self._split = set.intersection(set(self._names), *later) if later else set()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Tensor:
        """The whole tensor."""
        if name not in self._names:
            raise KeyError(name)
        pieces: list[Tensor] = [file.get_tensor(name) for file in self._holding(name)]
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0]

    def _holding(self, name: str) -> list[Any]:
        return self._files if name in self._split else self._files[:1]

    def shape(self, name: str) -> tuple[int, ...]:
        """Of the whole tensor, without reading it."""
        shapes = [tuple(file.get_slice(name).get_shape()) for file in self._holding(name)]
        rows = sum(shape[0] for shape in shapes) if name in self._split else None
        return shapes[0] if rows is None else (rows, *shapes[0][1:])

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of a tensor with at least one axis; no others are read."""
        pieces, first = [], 0
        for file in self._holding(name):
            part = file.get_slice(name)
            length = part.get_shape()[0]
            low, high = max(start - first, 0), min(stop - first, length)
            if low < high:
                pieces.append(part[low:high])
            first += length
        if not pieces:
            return torch.empty(0, *self.shape(name)[1:])
        return torch.cat(pieces)


def _part(path: Path) -> int:
    """Which part of its tensors a file holds, from 1."""
    named = re.search(r"\.(\d+)-of-\d+\.safetensors$", path.name)
    return int(named[1]) if named else 1
