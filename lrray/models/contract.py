"""What a model must do to be trained and measured here, found out by trying it.

Axis letters: B sequence, T step, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lrray.errors import LrrayError
from lrray.references import failure

_TRIED_LEN = 64
"""Most tokens of the trials: enough to see later tokens, and quick for a recurrence in Python."""

_TOLERANCE = 1e-4
"""Largest difference that is rounding, over the largest logit: a causal convolution by FFT leaks
about 1e-6, a later token that is seen moves logits by far more."""


def check_contract(model: nn.Module, vocab_size: int, context_len: int, name: str) -> None:
    """Tries a model on the CPU; it is changed by that, so build another one to train.

    Its logits must be finite numbers ``[B, T, V]``, the same each time, of a sequence's own tokens
    alone and of earlier ones alone; every weight must be float32 and get a gradient.

    Args:
        model: tokens ``[B, T]`` to logits ``[B, T, V]``.
        vocab_size: V.
        context_len: longest T.
        name: of the model in errors, ``module:Class``.

    Raises:
        LrrayError: the first of these that does not hold.
    """
    trial = _Trial(model, vocab_size, context_len, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trial.weights()
        model.eval()
        with torch.no_grad():
            trial.wake()
            trial.repeats()
            trial.rows_apart()
            trial.causal()
            trial.longest()
        model.train()
        trial.gradients()


def first_seen_too_early(model: nn.Module, vocab_size: int, length: int) -> int | None:
    """First position whose logits depend on later tokens; none of a causal model.

    All tokens from a position on are changed at once, for an early, a middle and the last one:
    a leak from near by or from afar shows in one of them.
    """
    tokens = torch.randint(vocab_size, (1, length))
    logits = model(tokens)
    for start in sorted({1, length // 2, length - 1} & set(range(1, length))):
        changed = tokens.clone()
        changed[:, start:] = (changed[:, start:] + 1) % vocab_size
        different = _different(logits[:, :start], model(changed)[:, :start])
        if bool(different.any()):
            return int(different[0].nonzero()[0, 0])
    return None


class _Trial:
    """One model under trial; every method checks one rule."""

    def __init__(self, model: nn.Module, vocab_size: int, context_len: int, name: str) -> None:
        self._model, self._name = model, name
        self._vocab_size, self._context_len = vocab_size, context_len
        # Cut from longer rows as in training: tokens are a view that is not contiguous.
        self._tokens = torch.randint(vocab_size, (3, min(context_len, _TRIED_LEN) + 1))[:, :-1]

    def weights(self) -> None:
        if next(self._trained(), None) is None:
            raise self._broken("must have weights to train", fix="make them nn.Parameter")
        for name, parameter in self._model.named_parameters():
            if parameter.dtype != torch.float32:
                raise self._broken(
                    f"weights must be float32, which {name} is not", got=str(parameter.dtype),
                    fix="leave the precision to train.precision",
                )  # fmt: skip

    def wake(self) -> None:
        """Gives weights that begin at zero a value: what they hide would pass every trial."""
        for parameter in self._model.parameters():
            if not bool(parameter.any()):
                parameter.normal_(std=0.1)

    def repeats(self) -> None:
        if self._changed(self._tokens):
            raise self._broken(
                "must give the same logits for the same tokens in eval mode",
                fix="keep no state between calls, and ask self.training before drawing numbers",
            )

    def rows_apart(self) -> None:
        others = self._tokens.clone()
        others[[0, 2]] = (others[[0, 2]] + 1) % self._vocab_size
        if self._changed(others, rows=slice(1, 2)):
            raise self._broken(
                "must treat each sequence alone, but its logits depend on others in the batch",
                fix="tokens are [B, T]: torch's recurrent layers need batch_first=True",
            )

    def causal(self) -> None:
        length = self._tokens.shape[1]
        position = first_seen_too_early(self._model, self._vocab_size, length)
        if position is not None:
            raise self._broken(
                f"must be causal, but the logits at position {position} depend on later tokens",
                fix="mask later tokens, and read in one direction",
            )

    def longest(self) -> None:
        self._logits(torch.zeros(1, self._context_len, dtype=torch.long))

    def gradients(self) -> None:
        logits = self._logits(self._tokens)
        if not logits.requires_grad:
            raise self._broken(
                "must be trainable, but its logits have no gradient",
                fix="compute them without no_grad and detach",
            )
        cross_entropy(logits.float().flatten(0, 1), self._tokens.flatten()).backward()
        for name, parameter in self._trained():
            if parameter.grad is None:
                raise self._broken(
                    f"every weight must get a gradient, but {name} gets none",
                    fix="use it in forward, or set requires_grad_(False)",
                )
            if not bool(parameter.grad.isfinite().all()):
                raise self._broken(f"gradients must be finite, but that of {name} is not")

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((n, p) for n, p in self._model.named_parameters() if p.requires_grad)

    def _changed(self, tokens: Tensor, rows: slice = slice(None)) -> bool:
        """Whether logits of some rows are others than those of the trial's own tokens."""
        before, after = self._logits(self._tokens)[rows], self._logits(tokens)[rows]
        return bool(_different(before, after).any())

    def _logits(self, tokens: Tensor) -> Tensor:
        wanted = (*tokens.shape, self._vocab_size)
        try:
            logits = self._model(tokens)
        except Exception as error:  # whatever a user's forward does
            rule = f"forward must take tokens {list(tokens.shape)}: {failure(error)}"
            raise self._broken(rule, fix="mend the model") from None
        if not isinstance(logits, Tensor):
            fix = "return the logits alone, without states or loss"
            raise self._broken("must return a tensor", got=type(logits).__name__, fix=fix)
        if logits.shape != wanted:
            raise self._broken(
                f"must return logits [B, T, V], {list(wanted)} for tokens {list(tokens.shape)}",
                got=list(logits.shape), fix="one logit per token of the vocabulary at every step",
            )  # fmt: skip
        if not logits.is_floating_point():
            raise self._broken("logits must be floating-point numbers", got=str(logits.dtype))
        if not bool(logits.isfinite().all()):
            raise self._broken("logits must be finite with fresh weights")
        return logits

    def _broken(self, rule: str, *, fix: str = "", **got: object) -> LrrayError:
        return LrrayError(f"model.type: {self._name}", rule, fix=fix, **got)


def _different(one: Tensor, other: Tensor) -> Tensor:
    """Where logits ``[B, T, V]`` differ by more than rounding, ``[B, T]``."""
    scale = one.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return (one - other).abs().amax(dim=-1) > _TOLERANCE * scale
