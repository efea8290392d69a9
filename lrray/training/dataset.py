"""Finite data: the first sequences of a training stream in an HDF5 file that explains itself.

The file holds one chunked data set ``tokens`` ``[num_sequences, seq_len]`` of the smallest integer
type, and attributes that say what made it, with a checksum over the tokens.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import lrray
from lrray.errors import LrrayError, cannot_write
from lrray.files import remove_stale, whole_file
from lrray.gssm import SequenceModel
from lrray.training.config import TrainConfig
from lrray.training.streams import EpochSource, StreamSource, TokenSource, stream_seed

_FORMAT = "lrray tokens 1"
_CHUNK_BYTES = 2**16
_BLOCK_TOKENS = 2**24
_MAX_IN_MEMORY_BYTES = 2**30


class DamagedDataset(LrrayError):
    """The file is truncated, altered or no data set of this kind: it must be made anew."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(str(path), reason, fix="delete the file and make the data again")


def write_dataset(
    path: Path, gssm: SequenceModel, num_sequences: int, seq_len: int, data_seed: int = 0
) -> bool:
    """Writes the first ``num_sequences`` of the training stream, unless the file has them already.

    The file appears whole or not at all; a damaged one is replaced.

    Returns:
        Whether the file was written.

    Raises:
        LrrayError: a sound file of that name holds other data; the file cannot be written.
    """
    if path.exists():
        try:
            open_dataset(path, gssm, num_sequences, seq_len, data_seed)
        except DamagedDataset:
            pass
        else:
            return False
    try:
        remove_stale(path)
        with whole_file(path) as partial:
            _write(partial, gssm, num_sequences, seq_len, data_seed)
    except OSError as error:
        raise cannot_write(path, "the data file", error) from error
    return True


def open_dataset(
    path: Path, gssm: SequenceModel, num_sequences: int, seq_len: int, data_seed: int = 0
) -> Any:
    """Checks a file against what is asked for and opens it.

    A file of more sequences than asked for serves too, since its first ones are the same.

    Returns:
        ``[at least num_sequences, seq_len]`` integers, an array below 1 GiB and else the open HDF5
        data set.

    Raises:
        DamagedDataset: truncated, altered or not such a file.
        LrrayError: missing, of another graph, vocabulary, seed, length, or with too few sequences.
    """
    if not path.exists():
        raise LrrayError(str(path), "no such data file", fix="make the data first")
    try:
        file = h5py.File(path, "r")
        attributes, tokens = dict(file.attrs), file["tokens"]
    except (OSError, KeyError) as error:
        raise DamagedDataset(path, f"cannot be read as a data file: {error}") from None
    if attributes.get("format") != _FORMAT:
        raise DamagedDataset(path, f"must be a data file of format {_FORMAT!r}")
    wanted = {"surrogate_order": None, **_attributes(gssm, seq_len, data_seed)}
    for name, value in wanted.items():
        if name != "version" and attributes.get(name) != value:
            raise LrrayError(
                f"{path}: {name}",
                f"must be {value} for this run",
                got=_plain(attributes.get(name)),
                fix="give the file made for this run or make it",
            )
    if len(tokens) < num_sequences:
        raise LrrayError(
            str(path), f"must hold at least {num_sequences} sequences", got=len(tokens),
            fix="make a larger file",
        )  # fmt: skip
    _verify(path, tokens, attributes)
    _verify_sampler(path, tokens, gssm, data_seed)
    return tokens[:] if tokens.nbytes <= _MAX_IN_MEMORY_BYTES else tokens


def open_source(gssm: SequenceModel, config: TrainConfig, dataset: Path | None) -> TokenSource:
    """A run's sequences: the endless stream, or epochs over a data file.

    Raises:
        LrrayError: as :func:`open_dataset`.
    """
    if dataset is None or config.num_train_sequences is None:
        return StreamSource(gssm, config.seq_len, config.data_seed)
    num_sequences = config.num_train_sequences
    sequences = open_dataset(dataset, gssm, num_sequences, config.seq_len, config.data_seed)
    return EpochSource(sequences, num_sequences, config.shuffle_seed)


def _write(
    path: Path, gssm: SequenceModel, num_sequences: int, seq_len: int, data_seed: int
) -> None:
    itemsize = np.dtype(gssm.token_dtype).itemsize
    chunk = max(1, min(num_sequences, _CHUNK_BYTES // (seq_len * itemsize)))
    block = max(1, _BLOCK_TOKENS // seq_len)
    digest = hashlib.sha256()
    with _FileForHDF5(path, "w+") as raw, h5py.File(raw, "w") as file:
        tokens = file.create_dataset(
            "tokens", (num_sequences, seq_len), gssm.token_dtype, chunks=(chunk, seq_len)
        )
        for start in range(0, num_sequences, block):
            count = min(block, num_sequences - start)
            rows = gssm.sample(count, seq_len, stream_seed("train", data_seed), start)
            tokens[start : start + count] = rows
            digest.update(rows.tobytes())
        file.attrs.update(_attributes(gssm, seq_len, data_seed))
        file.attrs["num_sequences"] = num_sequences
        file.attrs["sha256"] = digest.hexdigest()
        file.attrs["format"] = _FORMAT
    if raw.error is not None:
        raise raw.error


class _FileForHDF5(io.FileIO):
    """A file that keeps its first error to itself: a failed write makes HDF5 crash later."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes all of ``data``, or pretends to once the file has failed."""
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left) and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Cuts or lengthens the file likewise."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def _attributes(gssm: SequenceModel, seq_len: int, data_seed: int) -> dict[str, Any]:
    """What must agree between a file and a run; the vocabulary first, as the plainest mistake."""
    source = gssm.identity()
    source["graph"] = json.dumps(source["graph"], sort_keys=True)
    return {
        "vocab_size": gssm.vocab_size,
        "seq_len": seq_len,
        **source,
        "data_seed": data_seed,
        "stream_seed": np.uint64(stream_seed("train", data_seed)),
        "version": lrray.__version__,
    }


def _verify(path: Path, tokens: h5py.Dataset, attributes: dict[str, Any]) -> None:
    digest = hashlib.sha256()
    block = max(1, _BLOCK_TOKENS // tokens.shape[1])
    try:
        for start in range(0, len(tokens), block):
            digest.update(tokens[start : start + block].tobytes())
    except OSError as error:
        raise DamagedDataset(path, f"cannot be read to its end: {error}") from None
    if digest.hexdigest() != attributes.get("sha256"):
        raise DamagedDataset(path, "the tokens do not match the file's checksum")


def _verify_sampler(path: Path, tokens: h5py.Dataset, gssm: SequenceModel, data_seed: int) -> None:
    """Refuses a file of another sampler: its sequences might be those of the held-out set."""
    count = min(len(tokens), 4)
    drawn = gssm.sample(count, tokens.shape[1], stream_seed("train", data_seed))
    if not np.array_equal(tokens[:count], drawn):
        raise DamagedDataset(path, "the tokens are not those that this version draws")


def _plain(value: Any) -> Any:
    """A numpy scalar as a Python one, which errors show better."""
    return value.item() if isinstance(value, np.generic) else value
