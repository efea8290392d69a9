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

_MAX_LAW_WORK = 2**33
"""Most steps times joint states times tokens of the vocabulary for which exact laws are computed:
a few seconds of one core."""

_MAX_LAW_NUMBERS = 2**22
"""Most numbers of the exact laws that are kept: 32 MiB."""

_FEWEST_LAWS = 8
"""Sequences of which exact laws must fit the two limits; fewer tell too little."""

_NUM_CHECKED = 3
"""Sequences of a kept bound that are scored again: the code that made it may have changed."""


@dataclass(frozen=True)
class ExactLaws:
    """The exact predictive distribution on some of the held-out sequences.

    Axis letters: K sequence, T token, V vocabulary.
    """

    rows: NDArray[np.int64]
    """``[K]``: which of the held-out sequences, rising; the same in every worker."""
    own: slice
    """Those of the K that this worker evaluates."""
    probabilities: NDArray[np.float64]
    """``[own K, T - 1, V]``."""


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
    laws: ExactLaws | None = None
    """None where there is no exact law, or none that is computed in a few seconds."""


def heldout_tokens(gssm: SequenceModel, num_sequences: int, seq_len: int) -> NDArray[Any]:
    """The held-out sequences themselves, ``[num_sequences, seq_len]``."""
    return gssm.sample(num_sequences, seq_len, _STREAM)


def validation_tokens(gssm: SequenceModel, num_sequences: int, seq_len: int) -> NDArray[Any]:
    """Sequences that choose a run's best step, neither trained on nor held out."""
    return gssm.sample(num_sequences, seq_len, stream_seed("validation", 0))


def own_rows(num_sequences: int, workers: Workers) -> slice:
    """The sequences that a worker evaluates; the number of workers divides theirs."""
    each = num_sequences // workers.world_size
    return slice(workers.rank * each, (workers.rank + 1) * each)


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
    return Heldout(tokens, bound, _ngram_nats(gssm, tokens), _exact_laws(gssm, tokens, workers))


def _ngram_nats(gssm: SequenceModel, tokens: NDArray[Any]) -> dict[int, float]:
    """What the exact tables of n-grams lose on the tokens; seconds of one core at most."""
    size = gssm.vocab_size * gssm.graph.num_joint_states
    orders = [n for n in NGRAM_ORDERS if size * gssm.vocab_size**n <= _MAX_NGRAM_SIZE]
    return {n: float(gssm.markov_surrogate(n).nll(tokens, per_token=True).mean()) for n in orders}


def _exact_laws(gssm: SequenceModel, tokens: NDArray[Any], workers: Workers) -> ExactLaws | None:
    """The exact laws on evenly spaced sequences, as many as the limits allow."""
    num_sequences, num_steps = len(tokens), tokens.shape[1] - 1
    numbers = num_steps * gssm.vocab_size
    work = numbers * gssm.graph.num_joint_states
    most = min(_MAX_LAW_WORK // work, _MAX_LAW_NUMBERS // numbers)
    if most < min(_FEWEST_LAWS, num_sequences):
        return None
    rows = np.arange(0, num_sequences, -(-num_sequences // most))
    reach = own_rows(num_sequences, workers)
    first, last = np.searchsorted(rows, [reach.start, reach.stop])
    own = slice(int(first), int(last))
    if first == last:  # more workers than such sequences
        return ExactLaws(rows, own, np.empty((0, num_steps, gssm.vocab_size)))
    return ExactLaws(rows, own, gssm.next_token(tokens[rows[own]]))


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
