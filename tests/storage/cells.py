"""Functions that the tests of stored studies run as cells."""

import os
import time
from pathlib import Path


def squared(i, log, seconds):
    """Takes a while; appends a line per run, so that a cell that ran twice shows."""
    time.sleep(seconds)
    with Path(log).open("a") as file:
        file.write(f"{i}\n")
    return {"square": float(i * i)}


def counts_steps(i, log, steps, context=None):
    """Counts steps in its checkpoint and its curve; logs the step it began at, and its process."""
    context.checkpoint.mkdir(parents=True, exist_ok=True)
    place = context.checkpoint / "step"
    begun = int(place.read_text()) if place.exists() else 0
    with Path(log).open("a") as file:
        file.write(f"{i} {begun} {os.getpid()}\n")
    for step in range(begun, steps):
        time.sleep(0.1)
        context.log({"step": step + 1, "value": float(step)})
        temporary = place.with_suffix(".tmp")
        temporary.write_text(str(step + 1))
        temporary.replace(place)
    return {"steps": float(steps)}
