"""The held-out set of a graph and the exact bound on it.

Every run on a graph is evaluated on the same sequences, whatever its seeds: differences between
runs then hold no noise from the data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrray.errors import LrrayError
from lrray.files import whole_file
from lrray.gssm import GSSM
from lrray.training.streams import stream_seed

_STREAM = stream_seed("heldout", 0)


@dataclass(frozen=True)
class Heldout:
    """Sequences that are never trained on."""

    tokens: NDArray[Any]
    """``[N, T]`` integers."""
    bound_nats: NDArray[np.float64] | None
    """``[N, T - 1]``: exact NLL of each predicted token; none where it has no closed form."""


def make_heldout(
    gssm: GSSM, num_sequences: int, seq_len: int, cache_dir: Path | None = None
) -> Heldout:
    """Draws the held-out sequences and scores them exactly.

    The bound costs more than the sequences, so it is kept in ``cache_dir`` by what determines it:
    the graph, its seed, the number of sequences and their length. A ``context`` graph has none.

    Raises:
        LrrayError: the joint state space is too large for the exact bound.
    """
    tokens = gssm.sample(num_sequences, seq_len, _STREAM)
    if any(node.mode == "context" for node in gssm.graph.nodes):
        return Heldout(tokens, None)
    if cache_dir is None:
        return Heldout(tokens, gssm.nll(tokens, per_token=True))
    path = cache_dir / f"bound_{_key(gssm, num_sequences, seq_len)}.npy"
    bound = _read(path, (num_sequences, seq_len - 1))
    if bound is None:
        bound = gssm.nll(tokens, per_token=True)
        _write(path, bound)
    return Heldout(tokens, bound)


def _key(gssm: GSSM, num_sequences: int, seq_len: int) -> str:
    facts = [gssm.graph.to_dict(), gssm.seed, num_sequences, seq_len, _STREAM]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """The cached bound, or none where the file is missing or damaged."""
    try:
        bound = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(bound, np.ndarray):  # an archive of arrays in its place
        return None
    return bound if bound.shape == shape and np.isfinite(bound).all() else None


def _write(path: Path, bound: NDArray[np.float64]) -> None:
    """Writes whole or not at all: several runs may compute the same bound at once."""
    try:
        with whole_file(path) as partial, partial.open("wb") as file:
            np.save(file, bound)
    except OSError as error:
        raise LrrayError(
            str(path.parent), f"the bound cannot be kept here: {error}", fix="choose another folder"
        ) from None
