"""How large each step is: on a GPU, and as a rehearsal on a CPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Sizes of all steps."""

    models: tuple[tuple[int, int], ...]
    """Hidden size and layers of the training step."""
    training_steps: int
    """Optimizer steps that are timed, of each way to train."""
    training_tokens: tuple[int, int]
    """Sequences and their length."""
    num_processes: tuple[int, ...]
    """Processes that share the device."""
    packs: tuple[int, ...]
    """Cells of one process."""
    cell_steps: int
    """Steps of a cell that are timed."""
    cell_model: tuple[int, int]
    """Hidden size and layers of the tiny cells."""
    likelihood_latents: int
    """Latents of four states."""
    likelihood_sequences: int
    llamas: dict[str, tuple[int, int, int, int]]
    """Name -> hidden size, layers, heads, width of the network; random weights."""
    vocabulary: int
    new_tokens: tuple[int, ...]


FULL = Size(
    models=((32, 4), (128, 4), (768, 12)),
    training_steps=60,
    training_tokens=(32, 256),
    num_processes=(1, 2, 4, 8, 16),
    packs=(1, 4, 16, 64),
    cell_steps=300,
    cell_model=(32, 2),
    likelihood_latents=8,
    likelihood_sequences=1024,
    llamas={"1B": (2048, 16, 32, 8192), "8B": (4096, 32, 32, 14336)},
    vocabulary=128_256,
    new_tokens=(50, 200),
)

TOY = Size(
    models=((16, 1),),
    training_steps=4,
    training_tokens=(4, 32),
    num_processes=(1, 2),
    packs=(1, 2),
    cell_steps=8,
    cell_model=(16, 1),
    likelihood_latents=3,
    likelihood_sequences=8,
    llamas={"toy": (32, 2, 2, 64)},
    vocabulary=128,
    new_tokens=(4,),
)

SIZES = {"full": FULL, "toy": TOY}
