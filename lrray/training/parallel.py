"""A model as several workers train it: copied (DDP) or sharded (FSDP2).

Sharding's modules take seconds to import, so they load only where a model is sharded; a sharded
tensor (``DTensor``) is told by its ``full_tensor`` method.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lrray.training.distributed import Workers
from lrray.training.saved import SavedTensors


def replicate(model: nn.Module, device: torch.device) -> DistributedDataParallel:
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


def shard(model: nn.Module, workers: Workers, bf16: bool) -> None:
    """Shards the model in place with FSDP2, block by block; gradients are summed in float32."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(workers.device.type, (workers.world_size,))
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None, reduce_dtype=torch.float32
    )
    groups = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    for block in (block for group in groups for block in group):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def is_sharded(tensor: Any) -> bool:
    """Whether a worker holds only its own rows of the tensor."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Any) -> Tensor:
    """A sharded tensor put together by all workers, any other as it is."""
    full: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor
    return full


def own_part(tensor: Any) -> Tensor:
    """This worker's rows of a sharded tensor, all of any other."""
    own: Tensor = tensor.to_local() if is_sharded(tensor) else tensor
    return own


def read_into(target: Any, saved: SavedTensors, name: str) -> None:
    """Fills a tensor from saved ones; of a sharded one each worker reads its own rows alone."""
    if not is_sharded(target):
        target.copy_(saved[name])
        return
    own, mesh = target.to_local(), target.device_mesh
    # FSDP2 splits the first axis into pieces of equal length but for the last ones.
    start = mesh.get_local_rank() * -(-target.shape[0] // mesh.size())
    own.copy_(saved.rows(name, start, start + len(own)))
