"""The data files of finite-data cells: which a study needs, where they lie, how they are made.

A file serves every cell on the same kernel draw and stream, whatever its number of sequences: the
first sequences of a stream are the same. So it is named by the stream and made as large as the
largest number asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrray.config import parse
from lrray.gssm import GraphConfig
from lrray.studies.cell import digest
from lrray.studies.kind import CellContext
from lrray.training.config import TrainConfig

if TYPE_CHECKING:  # with Numba, which the settings of a study need not wait for
    from lrray.gssm import SequenceModel


def task(settings: Mapping[str, Any]) -> tuple[SequenceModel, TrainConfig]:
    """The kernel draw, or its surrogate, that a cell learns, and how, with its seed added."""
    from lrray.gssm import GSSM

    seed, own = settings["seed"], settings["graph_seed"]
    gssm: SequenceModel = GSSM(
        parse(GraphConfig, settings["graph"], "graph"), seed if own is None else own
    )
    if "surrogate" in settings:
        gssm = gssm.markov_surrogate(settings["surrogate"])
    config = parse(TrainConfig, settings["train"], "train")
    names = ("data_seed", "model_seed", "shuffle_seed")
    return gssm, config.model_copy(update={name: getattr(config, name) + seed for name in names})


@dataclass(frozen=True)
class NeededData:
    """One data file."""

    settings: Mapping[str, Any]
    """Of a cell that reads all of it."""
    num_sequences: int

    def path(self, folder: Path) -> Path:
        """Where ``lrray data make`` puts it."""
        return folder / f"{_stream(self.settings)}.h5"

    def check(self, folder: Path) -> bool:
        """Whether the file is there with all its sequences.

        Raises:
            LrrayError: it is damaged or holds other data.
        """
        path = self.path(folder)
        return path.exists() and len(self._open(path)) >= self.num_sequences

    def make(self, folder: Path) -> bool:
        """Writes the file unless it is there, whole and long enough; returns whether it did.

        Raises:
            LrrayError: a sound file of that name holds other data.
        """
        from lrray.training.dataset import DamagedDataset

        try:
            if self.check(folder):
                return False
        except DamagedDataset:
            pass
        # A longer file begins alike; cells that read the old one keep it open.
        self.path(folder).unlink(missing_ok=True)
        return self._write(self.path(folder))

    def found(self, context: CellContext) -> Path:
        """A file with all sequences that a cell needs, made for this run where there is none.

        Raises:
            LrrayError: the study's file is damaged or holds other data.
        """
        if self.check(context.data):
            return self.path(context.data)
        # Named by its size: cells that need more and write at the same time write another file.
        path = context.shared / "data" / f"{_stream(self.settings)}-{self.num_sequences}.h5"
        self._write(path)
        return path

    def _open(self, path: Path) -> Any:
        from lrray.training.dataset import open_dataset

        gssm, config = task(self.settings)
        return open_dataset(path, gssm, 1, config.seq_len, config.data_seed)

    def _write(self, path: Path) -> bool:
        from lrray.training.dataset import write_dataset

        gssm, config = task(self.settings)
        return write_dataset(path, gssm, self.num_sequences, config.seq_len, config.data_seed)


def needed_data(cells: Iterable[Mapping[str, Any]]) -> list[NeededData]:
    """The files that cells with these settings need; none for infinite data."""
    needed: dict[str, NeededData] = {}
    for settings in cells:
        num_sequences = settings["train"].get("num_train_sequences")
        if num_sequences is None:
            continue
        stream = _stream(settings)
        if stream not in needed or needed[stream].num_sequences < num_sequences:
            needed[stream] = NeededData(settings, num_sequences)
    return list(needed.values())


def _stream(settings: Mapping[str, Any]) -> str:
    """Names the stream of sequences that a cell trains on."""
    seed, train = settings["seed"], settings["train"]
    graph_seed = seed if settings["graph_seed"] is None else settings["graph_seed"]
    facts = [settings["graph"], graph_seed, train["seq_len"], train["data_seed"] + seed]
    if "surrogate" in settings:
        facts.append(settings["surrogate"])
    return digest(facts)
