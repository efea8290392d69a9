"""How a trained model follows a latent that is switched in the middle of a sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrray.gssm import GSSM
from lrray.gssm.switching import sample_switched
from lrray.training.evaluate import by_octave


def adaptation(
    model: nn.Module,
    gssm: GSSM,
    latent: str,
    at: int,
    num_sequences: int,
    seq_len: int,
    batch_size: int,
) -> dict[str, Any]:
    """KL from the exact predictions to the model's after a switch, and without one.

    The exact predictions are those of the graph's own law, which knows of no switch either: they
    are surprised as well, and return to what the tokens say as fast as any predictor can that
    takes them for the graph's. What a model adds after a switch is what it is slower by.

    Args:
        model: tokens ``[B, T]`` to logits ``[B, T, V]``.
        gssm: that it was trained on.
        latent: which is switched.
        at: step of the switch.
        num_sequences: pairs of sequences, with the switch and without.
        seq_len: tokens per sequence.
        batch_size: most sequences in one forward pass.

    Returns:
        ``kl_after_switch_bits`` and ``kl_without_switch_bits`` over the tokens from the first
        after the switch on (the switch's own token shows it, and no one foresees it), their
        paired difference and its standard error over sequences, and both by distance (1, 2–3, …).
    """
    both = sample_switched(gssm, num_sequences, seq_len, latent, at)
    after, without = (_kl_bits(model, gssm, tokens, at, batch_size) for tokens in both)
    difference = (after - without).mean(axis=1)
    return {
        "kl_after_switch_bits": float(after.mean()),
        "kl_without_switch_bits": float(without.mean()),
        "kl_switch_cost_bits": float(difference.mean()),
        "kl_switch_cost_bits_se": float(difference.std(ddof=1) / math.sqrt(num_sequences)),
        "kl_after_switch_by_distance_bits": by_octave(after.mean(axis=0)),
        "kl_without_switch_by_distance_bits": by_octave(without.mean(axis=0)),
    }


def _kl_bits(
    model: nn.Module, gssm: GSSM, tokens: NDArray[Any], at: int, batch_size: int
) -> NDArray[np.float64]:
    """``[N, T - 1 - at]``: of the tokens after step ``at``."""
    device = next(model.parameters()).device
    parts = []
    was_training = model.training
    model.eval()
    for start in range(0, len(tokens), batch_size):
        batch = tokens[start : start + batch_size]
        law = gssm.next_token(batch)[:, at:]
        with torch.no_grad():
            inputs = torch.from_numpy(batch[:, :-1].astype(np.int64)).to(device)
            logits = model(inputs)[:, at:].double().log_softmax(dim=-1).cpu().numpy()
        parts.append((law * (np.log(np.where(law > 0, law, 1)) - logits)).sum(axis=-1))
    model.train(was_training)
    return np.concatenate(parts) / math.log(2)
