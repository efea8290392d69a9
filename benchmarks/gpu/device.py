"""The device that is measured, and how."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def name() -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(DEVICE) if DEVICE.type == "cuda" else "CPU"


def wait() -> None:
    """Returns once the device has done all that it was asked to."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def seconds(do: Callable[[], object]) -> float:
    """How long something takes, the device's work included."""
    wait()
    began = time.perf_counter()
    do()
    wait()
    return time.perf_counter() - began


@contextmanager
def peak_gb() -> Iterator[list[float]]:
    """Yields a list that holds the peak of the device's memory afterwards; 0 on a CPU."""
    found: list[float] = []
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(DEVICE)
    yield found
    cuda = DEVICE.type == "cuda"
    found.append(torch.cuda.max_memory_allocated(DEVICE) / 1e9 if cuda else 0.0)
