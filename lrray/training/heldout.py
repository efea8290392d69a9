"""The held-out set of a graph and the exact bound on it.

Every run on a graph is evaluated on the same sequences, whatever its seeds: differences between
runs then hold no noise from the data.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrray.errors import cannot_write
from lrray.files import write_whole
from lrray.gssm import SequenceModel
from lrray.training.distributed import ALONE, Workers
from lrray.training.streams import stream_seed

_STREAM = stream_seed("heldout", 0)

NGRAM_ORDERS = (0, 2)

_MAX_NGRAM_SIZE = 2**24
"""Most n-grams times joint states of a table that is computed beside a training."""

_NUM_CHECKED = 3
"""Sequences of a kept bound that are scored again: the code that made it may have changed."""


@dataclass(frozen=True)
class Heldout:
    """Sequences that are never trained on."""

    tokens: NDArray[Any]
    """``[N, T]`` integers."""
    bound_nats: NDArray[np.float64] | None
    """``[N, T - 1]``: exact NLL of each predicted token; none where it has no closed form."""
    ngram_nats: Mapping[int, float] = field(default_factory=dict)
    """Order -> mean NLL of the same tokens under the exact table of that order: 0 (unigrams) and 2
    (trigrams); those are missing that take too long to compute."""


def heldout_tokens(gssm: SequenceModel, num_sequences: int, seq_len: int) -> NDArray[Any]:
    """The held-out sequences themselves, ``[num_sequences, seq_len]``."""
    return gssm.sample(num_sequences, seq_len, _STREAM)


def make_heldout(
    gssm: SequenceModel,
    num_sequences: int,
    seq_len: int,
    cache_dir: Path | None = None,
    workers: Workers = ALONE,
) -> Heldout:
    """Draws the held-out sequences and scores them exactly, all workers together.

    The bound costs more than the sequences, so it is kept in ``cache_dir`` by what determines it:
    the graph, its seed and the tokens. A kept one is used where a few of its sequences still score
    the same. A ``context`` graph has none.

    Raises:
        LrrayError: the joint state space is too large for the exact bound; it cannot be kept.
    """
    tokens = heldout_tokens(gssm, num_sequences, seq_len)
    if not gssm.has_likelihood:
        return Heldout(tokens, None)
    path = None if cache_dir is None else cache_dir / f"bound_{_key(gssm, tokens)}.npy"
    bound = None if path is None else _read(path, gssm, tokens)
    if workers.any(bound is None) or bound is None:
        bound = _score(gssm, tokens, workers)
        if path is not None:
            _write(path, bound)
    return Heldout(tokens, bound, _ngram_nats(gssm, tokens))


def _ngram_nats(gssm: SequenceModel, tokens: NDArray[Any]) -> dict[int, float]:
    """What the exact tables of n-grams lose on the tokens; seconds of one core at most."""
    size = gssm.vocab_size * gssm.graph.num_joint_states
    orders = [n for n in NGRAM_ORDERS if size * gssm.vocab_size**n <= _MAX_NGRAM_SIZE]
    return {n: float(gssm.markov_surrogate(n).nll(tokens, per_token=True).mean()) for n in orders}


def _score(gssm: SequenceModel, tokens: NDArray[Any], workers: Workers) -> NDArray[np.float64]:
    """The exact bound; each worker scores its share of the sequences."""
    own = slice(workers.rank, None, workers.world_size)
    bound = np.zeros((len(tokens), tokens.shape[1] - 1))
    bound[own] = gssm.nll(tokens[own], per_token=True)
    whole = workers.sum(torch.from_numpy(bound).to(workers.device))
    return np.asarray(whole.cpu())


def _key(gssm: SequenceModel, tokens: NDArray[Any]) -> str:
    sequences = [tokens.shape, hashlib.sha256(tokens.tobytes()).hexdigest()]
    facts = [*gssm.identity().values(), sequences]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _read(path: Path, gssm: SequenceModel, tokens: NDArray[Any]) -> NDArray[np.float64] | None:
    """The kept bound, or none where the file is missing, damaged or of another likelihood."""
    try:
        bound = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(bound, np.ndarray):  # an archive of arrays in its place
        return None
    if bound.shape != (len(tokens), tokens.shape[1] - 1) or not np.isfinite(bound).all():
        return None
    rows = np.linspace(0, len(tokens) - 1, _NUM_CHECKED).astype(int)
    fresh = gssm.nll(tokens[rows], per_token=True)
    return bound if np.allclose(bound[rows], fresh, rtol=1e-9, atol=1e-9) else None


def _write(path: Path, bound: NDArray[np.float64]) -> None:
    """Writes whole or not at all: several runs may compute the same bound at once."""
    content = io.BytesIO()
    np.save(content, bound)
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise cannot_write(path.parent, "the exact bound", error) from error
