"""Every text that a model generated, kept as one table of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lrray.files import write_whole


class SampleTable:
    """``samples.jsonl``: one line per generated text, with the epoch it is from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, epoch: int, samples: Iterable[Mapping[str, Any]]) -> None:
        """Adds an evaluation's texts.

        Those of this and later epochs were left by a run that is done again from an earlier
        checkpoint, and are dropped.
        """
        kept = [row for row in self.read() if row["epoch"] < epoch]
        rows = [*kept, *({"epoch": epoch, **sample} for sample in samples)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_whole(self.path, text)

    def read(self) -> list[dict[str, Any]]:
        """All rows, in the order of epochs; none where there is no table yet."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
