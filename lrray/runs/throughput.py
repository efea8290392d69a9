"""How long cells take on a device that was measured, from ``throughput.yaml``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lrray.config import Settings, load_yaml, parse
from lrray.studies.work import Work

MEASURED = Path(__file__).with_name("throughput.yaml")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Speed(Settings):
    """Training of one model."""

    flops_per_token: Positive
    tokens_per_s: Positive


class Device(Settings):
    """What one device did."""

    name: str
    """As torch calls it."""
    measured: str
    """The day, and the version of torch."""
    training: Annotated[tuple[Speed, ...], Field(min_length=1)]


class Throughput(Settings):
    """The file."""

    devices: tuple[Device, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """Time of some work."""

    seconds: float
    source: str
    """Which measurements it comes from, and how far off it may be."""


def read(path: Path = MEASURED) -> Throughput:
    """The measurements.

    Raises:
        LrrayError: the file is no such file.
    """
    return parse(Throughput, load_yaml(path), str(path))


def device_here(known: Throughput) -> Device | None:
    """The measured device that this machine has; where it has no GPU, the first measured one."""
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return next((device for device in known.devices if device.name == name), None)
    return next(iter(known.devices), None)


def estimate(device: Device, works: Sequence[Work]) -> Estimate:
    """Seconds of one piece of work after the other."""
    points = sorted((speed.flops_per_token, speed.tokens_per_s) for speed in device.training)
    seconds = sum(work.tokens / tokens_per_s(points, work.flops_per_token) for work in works)
    error = largest_error(points)
    told = "error unknown" if error is None else f"within {error:.0%}"
    sizes = "1 model" if len(points) == 1 else f"{len(points)} model sizes"
    source = f"throughput of {sizes} on {device.name} ({device.measured}; {told})"
    return Estimate(seconds, source)


def tokens_per_s(points: Sequence[tuple[float, float]], flops_per_token: float) -> float:
    """Speed at a size: a power law between the neighbours, outside them their FLOP/s.

    Args:
        points: FLOPs per token and tokens per second, by rising FLOPs.
        flops_per_token: of the model that is asked for.
    """
    for end in (points[0], points[-1]):
        outside = flops_per_token < end[0] if end == points[0] else flops_per_token > end[0]
        if outside or len(points) == 1:
            return end[0] * end[1] / flops_per_token
    above = next(i for i, point in enumerate(points) if point[0] >= flops_per_token)
    (x_0, y_0), (x_1, y_1) = points[max(0, above - 1)], points[above]
    if x_0 == x_1:
        return y_1
    share = math.log(flops_per_token / x_0) / math.log(x_1 / x_0)
    return y_0 * (y_1 / y_0) ** share


def largest_error(points: Sequence[tuple[float, float]]) -> float | None:
    """How far the law is from a point between the others when it is left out; None without one."""
    errors = []
    for i, (flops, speed) in enumerate(points[1:-1], start=1):
        others = [point for j, point in enumerate(points) if j != i]
        errors.append(abs(math.log(tokens_per_s(others, flops) / speed)))
    return math.expm1(max(errors)) if errors else None
