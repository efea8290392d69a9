"""Learners of one shape side by side: one forward and backward pass, one AdamW for all of them.

Their weights lie in one matrix, a row each, of which a learner's own parameters are views; so are
gradients and optimizer state. So what a learner saves or evaluates is its own as ever.

Axis letters: K learner, P parameter, B sequence, T token, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lrray.errors import LrrayError
from lrray.training.learner import Learner
from lrray.training.schedule import learning_rate
from lrray.training.stacked_attention import StackedAttention

Taken = tuple[Tensor, Tensor | None]
"""What a step gives: loss and gradient norm, as :meth:`lrray.training.learner.Learner.step`."""

_EPSILON = 1e-8
"""Of AdamW: torch's default."""

_NORM_EPSILON = 1e-6
"""What torch's ``clip_grad_norm_`` adds to a norm."""


class Stack:
    """Learners that step together, each with its own learning rate and number of steps.

    Args:
        learners: two or more, alike in model, batch and optimizer but for the learning rate.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self.learners = learners
        self._config, self._bf16 = learners[0].config, learners[0].bf16
        self._model = learners[0].model
        self._buffers = _differing_buffers([learner.model for learner in learners])
        groups = learners[0].optimizer.param_groups
        sizes = [sum(p.numel() for p in group["params"]) for group in groups]
        self._num_decayed = sum(
            size for size, group in zip(sizes, groups, strict=True) if group["weight_decay"]
        )
        device = next(self._model.parameters()).device
        shape = len(learners), sum(sizes)
        self._weights, self._gradients, self._means, self._squares = (
            torch.zeros(shape, device=device) for _ in range(4)
        )
        num_tensors = sum(len(group["params"]) for group in groups)
        # A number per tensor, as AdamW keeps them: tensors of a checkpoint may not overlap.
        self._steps = torch.zeros(len(learners), num_tensors, device=device)
        self._gradient_views: list[Tensor] = []
        self._parameters = self._take_over()

    def _take_over(self) -> dict[str, Tensor]:
        """Moves the learners' tensors here; returns the parameters, ``[K, …]``, by name."""
        names = {parameter: name for name, parameter in self._model.named_parameters()}
        own = [p for group in self.learners[0].optimizer.param_groups for p in group["params"]]
        every = [
            [p for group in learner.optimizer.param_groups for p in group["params"]]
            for learner in self.learners
        ]
        stacked, first = {}, 0
        for index, parameter in enumerate(own):
            part = slice(first, first + parameter.numel())
            first = part.stop
            for k, learner in enumerate(self.learners):
                self._take_tensor(learner, every[k][index], k, index, part)
            whole = self._weights[:, part].view(-1, *parameter.shape).detach()
            stacked[names[parameter]] = whole.requires_grad_()
            self._gradient_views.append(self._gradients[:, part].view(whole.shape))
        return stacked

    def _take_tensor(
        self, learner: Learner, parameter: Tensor, k: int, index: int, part: slice
    ) -> None:
        """Moves one parameter and its state into row k, and makes them views of it."""
        state = learner.optimizer.state[parameter]
        own = {
            "step": self._steps[k, index],
            "exp_avg": self._means[k, part].view(parameter.shape),
            "exp_avg_sq": self._squares[k, part].view(parameter.shape),
        }
        for name, view in own.items():
            if name in state:  # none before a first step
                view.copy_(state[name])
            state[name] = view
        weights = self._weights[k, part].view(parameter.shape)
        weights.copy_(parameter.detach())
        parameter.data = weights

    def step(self, tokens: Tensor, numbers: Sequence[int]) -> list[Taken]:
        """Does a step of every learner on its tokens ``[K, B, T]``.

        Args:
            tokens: of the learners, in their order.
            numbers: which step each does, from 0.
        """
        self._gradients.zero_()
        num_sequences = tokens.shape[1]
        losses = torch.zeros(len(tokens), device=tokens.device)
        for part in tokens.split(self._config.micro_batch_size or num_sequences, dim=1):
            shares = self._losses(part) * (part.shape[1] / num_sequences)
            own = torch.autograd.grad(shares.sum(), list(self._parameters.values()))
            torch._foreach_add_(self._gradient_views, own)
            losses += shares.detach()
        norms = self._clip()
        self._update(numbers)
        return [(loss, None if norms is None else norms[k]) for k, loss in enumerate(losses)]

    def _losses(self, tokens: Tensor) -> Tensor:
        """Mean loss of each learner, ``[K]``, in nats per predicted token."""
        with (
            torch.autocast(tokens.device.type, torch.bfloat16, enabled=self._bf16),
            StackedAttention(),
        ):
            logits = torch.vmap(self._logits)(self._parameters, self._buffers, tokens[..., :-1])
        targets = tokens[..., 1:].flatten()
        losses = cross_entropy(logits.float().flatten(0, 2), targets, reduction="none")
        return losses.view(len(tokens), -1).mean(dim=1)

    def _logits(
        self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], tokens: Tensor
    ) -> Any:
        return functional_call(self._model, {**parameters, **buffers}, (tokens,))

    def _clip(self) -> Tensor | None:
        """Scales every learner's gradient down to the largest norm; returns the norms, ``[K]``."""
        if self._config.max_grad_norm is None:
            return None
        norms = self._gradients.norm(dim=1)
        scales = (self._config.max_grad_norm / (norms + _NORM_EPSILON)).clamp(max=1.0)
        self._gradients *= scales[:, None]
        return norms

    @torch.no_grad()
    def _update(self, numbers: Sequence[int]) -> None:
        """AdamW of torch, its scalars a column: each learner is at a step of its own."""
        rates = [
            learning_rate(learner.config, number)
            for learner, number in zip(self.learners, numbers, strict=True)
        ]
        device = self._weights.device
        rate = torch.tensor(rates, dtype=torch.float64, device=device)[:, None]
        self._steps += 1
        steps = self._steps[:, :1].double()
        beta_1, beta_2 = self._config.betas
        self._weights[:, : self._num_decayed] *= (1 - rate * self._config.weight_decay).float()
        self._means.lerp_(self._gradients, 1 - beta_1)
        self._squares.mul_(beta_2).addcmul_(self._gradients, self._gradients, value=1 - beta_2)
        roots = self._squares.sqrt().div_((1 - beta_2**steps).sqrt().float()).add_(_EPSILON)
        change = self._means.mul((rate / (1 - beta_1**steps)).float())
        self._weights.addcdiv_(change, roots, value=-1)


def _differing_buffers(models: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Buffers that are not the same in all models, ``[K, …]`` by name."""
    own = [dict(model.named_buffers()) for model in models]
    return {
        name: torch.stack([buffers[name] for buffers in own])
        for name, first in own[0].items()
        if not all(torch.equal(first, buffers[name]) for buffers in own[1:])
    }


def check_stacks(model: nn.Module, vocab_size: int, length: int) -> None:
    """Tries a model twice side by side, as training would.

    Raises:
        LrrayError: it cannot be trained so: it draws random numbers, changes its buffers, has
            parameters without a gradient, or a layer that has no batched form.
    """
    model = copy.deepcopy(model).train()
    parameters = {
        name: torch.stack([p, p]).detach().requires_grad_() for name, p in model.named_parameters()
    }
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    tokens = torch.arange(2 * 2 * length).view(2, 2, length) % vocab_size

    def one(own: Mapping[str, Tensor], tokens: Tensor) -> Any:
        return functional_call(model, dict(own), (tokens,))

    try:
        with StackedAttention():
            logits = torch.vmap(one)(parameters, tokens)
        logits.float().logsumexp(-1).sum().backward()
    except Exception as error:  # torch and the model's own code raise what they like here
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise _cannot(reason) from None
    if any(p.grad is None for p in parameters.values()) or any(
        not p.requires_grad for p in model.parameters()
    ):
        raise _cannot("it has parameters that are not trained")
    after = dict(model.named_buffers())
    changed = [name for name, buffer in before.items() if not torch.equal(buffer, after[name])]
    if changed:
        raise _cannot(f"it changes its buffer {changed[0]}")


def _cannot(reason: str) -> LrrayError:
    return LrrayError(
        "resources.pack", f"this model cannot be trained side by side with others: {reason}",
        fix="leave pack out, or another model.type",
    )  # fmt: skip
