"""Keeps what a page of ``make gpu`` says of training: ``python -m benchmarks.gpu.keep PAGE``."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from lrray.runs.throughput import MEASURED

SPEED = re.compile(r"hidden \d+ x \d+ layers: speed")
FLOPS = re.compile(r"([\d,]+) FLOPs a token")


def keep(page: dict[str, Any], path: Path) -> None:
    """Puts the page's device into the file, in place of what was there of it."""
    machine, rows = page["machine"], page["steps"]["training"]["rows"]
    training = [
        {"flops_per_token": float(found[1].replace(",", "")), "tokens_per_s": row["value"]}
        for row in rows
        if SPEED.fullmatch(row["name"]) and (found := FLOPS.search(row["note"]))
    ]
    measured = f"{time.strftime('%Y-%m-%d')}, torch {machine['torch']}"
    device = {"name": machine["device"], "measured": measured, "training": training}
    text = path.read_text(encoding="utf-8")
    others = [one for one in yaml.safe_load(text)["devices"] if one["name"] != device["name"]]
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    body = yaml.safe_dump({"devices": [*others, device]}, sort_keys=False)
    path.write_text(head.replace(" No GPU has been measured so far.", "") + body, encoding="utf-8")


if __name__ == "__main__":
    keep(json.loads(Path(sys.argv[1]).read_text()), MEASURED)
