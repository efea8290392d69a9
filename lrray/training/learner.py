"""One optimizer step: forward and backward over micro-batches, on one worker or several.

Axis letters: B sequence, T token, V vocabulary.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from lrray.errors import LrrayError
from lrray.training.config import TrainConfig
from lrray.training.distributed import Workers
from lrray.training.schedule import learning_rate


class Learner:
    """A model and its optimizer, spread over the workers.

    Args:
        model: tokens ``[B, T]`` to logits ``[B, T, V]``; moved to the workers' device.
        config: of the run.
        workers: all of them must make this together.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, workers: Workers) -> None:
        self._config, self._workers = config, workers
        self.bf16 = use_bf16(config, workers.device)
        self.model = model.to(workers.device)
        if config.compile:
            self.model.compile()
        self._parallel = self._spread()
        self._optimizer = torch.optim.AdamW(
            _decayed_and_not(self.model.parameters(), config.weight_decay),
            betas=config.betas,
            fused=not isinstance(self.model, FSDPModule) or workers.device.type == "cuda",
        )
        self._parameters = list(self.model.parameters())

    def _spread(self) -> nn.Module:
        """The model as the workers train it; its parameters stay reachable as ``self.model``'s."""
        workers = self._workers
        if workers.world_size == 1:
            return self.model
        if self._config.parallel == "ddp":
            return _replicated(self.model, workers.device)
        mesh = init_device_mesh(workers.device.type, (workers.world_size,))
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if self.bf16 else None, reduce_dtype=torch.float32
        )
        blocks = [m for m in self.model.modules() if isinstance(m, nn.ModuleList)]
        for block in (block for group in blocks for block in group):
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(self.model, mesh=mesh, mp_policy=policy)
        return self.model

    def step(self, tokens: Tensor, number: int) -> tuple[Tensor, Tensor | None]:
        """Does optimizer step ``number`` (from 0) on this worker's tokens ``[B, T]``.

        Returns:
            This worker's mean loss in nats per predicted token, and the norm of the gradient of
            all workers before clipping (none without clipping); both stay on the device.
        """
        # Dropout is a function of (seed, step, worker), so a resumed run needs no random state.
        seeds = np.random.SeedSequence([self._config.model_seed, number, self._workers.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        parts = tokens.split(self._config.micro_batch_size or len(tokens))
        loss = torch.zeros((), device=tokens.device)
        for index, part in enumerate(parts):
            with self._exchange_gradients(index == len(parts) - 1):
                share = self._loss(part) * (len(part) / len(tokens))
                share.backward()
            loss += share.detach()
        norm = self._clip()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._config, number)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss, norm

    def _loss(self, tokens: Tensor) -> Tensor:
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self._parallel(tokens[:, :-1])
        return cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())

    def _exchange_gradients(self, last: bool) -> AbstractContextManager[Any]:
        """Workers average their gradients once per step, after the last micro-batch."""
        if isinstance(self._parallel, DistributedDataParallel) and not last:
            return self._parallel.no_sync()
        if isinstance(self._parallel, FSDPModule):
            self._parallel.set_requires_gradient_sync(last)
        return nullcontext()

    def _clip(self) -> Tensor | None:
        if self._config.max_grad_norm is None:
            return None
        norm = nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm)
        return _whole(norm.detach())

    def model_tensors(self) -> dict[str, Tensor]:
        """Parameters and kept buffers by name, whole and on the CPU; all workers call together."""
        return {name: _whole(tensor).cpu().clone() for name, tensor in self._kept().items()}

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Optimizer state by ``state.parameter name``; all workers call together."""
        return {
            f"{key}.{name}": _whole(value).cpu().clone()
            for name, parameter in self.model.named_parameters()
            for key, value in self._optimizer.state[parameter].items()
        }

    def load(self, model: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """Takes over what :meth:`model_tensors` and :meth:`optimizer_tensors` gave.

        Raises:
            LrrayError: names or shapes are of another model.
        """
        load_weights(self.model, model)
        states: dict[str, dict[str, Tensor]] = {}
        for key_and_name, value in optimizer.items():
            key, name = key_and_name.split(".", 1)
            states.setdefault(name, {})[key] = value
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        ordered = [p for group in self._optimizer.param_groups for p in group["params"]]
        packed = self._optimizer.state_dict()
        packed["state"] = {
            index: {k: _like(v, p) for k, v in states[names[p]].items()}
            for index, p in enumerate(ordered)
            if names[p] in states
        }
        self._optimizer.load_state_dict(packed)

    def _kept(self) -> dict[str, Tensor]:
        return kept_tensors(self.model)


def _replicated(model: nn.Module, device: torch.device) -> DistributedDataParallel:
    """The model under DDP; its buffers are constants, which need no broadcast at every step."""
    with warnings.catch_warnings():
        # torch 2.13 deprecates broadcast_buffers before its replacement is there.
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )


def kept_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, shared ones once, and the buffers that a state dict keeps."""
    parameters = dict(model.named_parameters())
    # A shared parameter stands in the state dict under each of its names.
    every_name = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {k: v for k, v in model.state_dict().items() if k not in every_name}
    return {name: tensor.detach() for name, tensor in {**parameters, **buffers}.items()}


def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copies a checkpoint's tensors into a model of the same shape.

    Raises:
        LrrayError: names or shapes are of another model.
    """
    kept = kept_tensors(model)
    mine = {name: tuple(tensor.shape) for name, tensor in kept.items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if mine != theirs:
        name = min(name for name, _ in mine.items() ^ theirs.items())
        raise LrrayError(
            f"checkpoint: {name}",
            f"must have the model's shape {mine.get(name)}",
            got=theirs.get(name),
            fix="use the checkpoint's own model settings",
        )
    with torch.no_grad():
        for name, tensor in kept.items():
            tensor.copy_(_like(tensors[name], tensor))


def use_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether the run computes under bf16 autocast.

    Raises:
        LrrayError: bf16 is asked for on a GPU without it.
    """
    has_bf16 = device.type == "cpu" or torch.cuda.is_bf16_supported()
    if config.precision == "bf16" and not has_bf16:
        raise LrrayError(
            "precision", "this GPU has no bf16", got="bf16", fix="set precision: float32"
        )
    return config.precision == "bf16" or (
        config.precision == "auto" and device.type == "cuda" and has_bf16
    )


def _decayed_and_not(parameters: Iterable[Tensor], weight_decay: float) -> list[dict[str, Any]]:
    """Optimizer groups: matrices, which decay, and vectors, which do not."""
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together (by all workers), any other as it is."""
    if isinstance(tensor, DTensor):
        full: Tensor = tensor.full_tensor()
        return full
    return tensor


def _like(whole: Tensor, target: Tensor) -> Tensor:
    """``whole`` on the target's device, sharded as it is; counters stay as they are."""
    if isinstance(target, DTensor) and whole.shape == target.shape:
        placed = whole.to(target.device_mesh.device_type)
        return distribute_tensor(placed, target.device_mesh, target.placements)
    return whole
