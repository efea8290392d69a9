"""One optimizer step: forward and backward over micro-batches, on one worker or several.

Axis letters: B sequence, T token, V vocabulary.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from lrray.training.config import NOT_DECAYED, TrainConfig
from lrray.training.distributed import Workers
from lrray.training.parallel import own_part, read_into, replicate, shard, whole
from lrray.training.precision import use_bf16
from lrray.training.saved import SavedTensors
from lrray.training.schedule import learning_rate
from lrray.training.weights import load_tensors, model_tensors


class Learner:
    """A model and its optimizer, spread over the workers.

    Args:
        model: tokens ``[B, T]`` to logits ``[B, T, V]``; moved to the workers' device.
        config: of the run.
        workers: all of them must make this together.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, workers: Workers) -> None:
        self.config, self._workers = config, workers
        self.bf16 = use_bf16(config, workers.device)
        self.model = model.to(workers.device)
        if config.compile:
            self.model.compile()
        self._is_sharded = workers.world_size > 1 and config.parallel == "fsdp"
        self._parallel = self._spread()
        self.optimizer = torch.optim.AdamW(
            _decayed_and_not(self.model, config.weight_decay),
            betas=config.betas,
            fused=True,  # one kernel for all parameters, also on the CPU
        )
        self._parameters = list(self.model.parameters())

    def _spread(self) -> nn.Module:
        """The model as the workers train it; its parameters stay reachable as ``self.model``'s."""
        if self._workers.world_size == 1:
            return self.model
        if self.config.parallel == "ddp":
            return replicate(self.model, self._workers.device)
        shard(self.model, self._workers, self.bf16)
        return self.model

    def step(self, tokens: Tensor, number: int) -> tuple[Tensor, Tensor | None]:
        """Does optimizer step ``number`` (from 0) on this worker's tokens ``[B, T]``.

        Returns:
            This worker's mean loss in nats per predicted token, and the norm of the gradient of
            all workers before clipping (none without clipping); both stay on the device.
        """
        # Dropout is a function of (seed, step, worker), so a resumed run needs no random state.
        seeds = np.random.SeedSequence([self.config.model_seed, number, self._workers.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        parts = tokens.split(self.config.micro_batch_size or len(tokens))
        loss = torch.zeros((), device=tokens.device)
        for index, part in enumerate(parts):
            with self._exchange_gradients(index == len(parts) - 1):
                share = self._loss(part) * (len(part) / len(tokens))
                share.backward()
            loss += share.detach()
        norm = self._clip()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, number)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss, norm

    def _loss(self, tokens: Tensor) -> Tensor:
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self._parallel(tokens[:, :-1])
        return cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())

    def _exchange_gradients(self, last: bool) -> AbstractContextManager[Any]:
        """Workers average their gradients once per step, after the last micro-batch."""
        if isinstance(self._parallel, DistributedDataParallel) and not last:
            return self._parallel.no_sync()
        if self._is_sharded:
            self.model.set_requires_gradient_sync(last)  # type: ignore[operator]
        return nullcontext()

    def _clip(self) -> Tensor | None:
        if self.config.max_grad_norm is None:
            return None
        norm = nn.utils.clip_grad_norm_(self._parameters, self.config.max_grad_norm)
        return whole(norm.detach())

    def tensors(self) -> dict[str, Tensor]:
        """What checkpoints keep of the model, by name; of a sharded one this worker's rows."""
        return model_tensors(self.model)

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Optimizer state by ``state.parameter name``; of a sharded model this worker's rows."""
        return {
            f"{key}.{name}": value
            for name, parameter in self.model.named_parameters()
            for key, value in self.optimizer.state[parameter].items()
        }

    def is_finite(self) -> bool:
        """Whether all weights and their optimizer state are finite, in every worker."""
        states = (value for state in self.optimizer.state.values() for value in state.values())
        own = (own_part(tensor) for tensor in (*self._parameters, *states))
        return not self._workers.any(not all(bool(tensor.isfinite().all()) for tensor in own))

    def load(self, model: SavedTensors, optimizer: SavedTensors) -> None:
        """Takes over what :meth:`tensors` and :meth:`optimizer_tensors` gave to a checkpoint.

        Raises:
            LrrayError: names or shapes are of another model.
        """
        load_tensors(self.tensors(), model)
        parameters = dict(self.model.named_parameters())
        ordered = [p for group in self.optimizer.param_groups for p in group["params"]]
        index = {parameter: i for i, parameter in enumerate(ordered)}
        states: dict[int, dict[str, Tensor]] = {}
        for key_and_name in optimizer:
            key, name = key_and_name.split(".", 1)
            value = _state_like(parameters[name], optimizer, key_and_name)
            states.setdefault(index[parameters[name]], {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})


def _state_like(parameter: Tensor, saved: SavedTensors, name: str) -> Tensor:
    """An optimizer's number, or its tensor of a parameter's shape, placed as that one is."""
    if saved.shape(name) != tuple(parameter.shape):
        return saved[name]
    value = torch.zeros_like(parameter, requires_grad=False)
    read_into(value, saved, name)
    return value


def _decayed_and_not(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Optimizer groups: matrices, which decay, and what does not."""
    decayed: list[Tensor] = []
    rest: list[Tensor] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim > 1 and name.rpartition(".")[2] not in NOT_DECAYED
        (decayed if is_matrix else rest).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
