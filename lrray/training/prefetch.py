"""Batches made ready by a background thread, so that the model does not wait for its data."""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from lrray.training.streams import TokenSource

_BLOCK_SEQUENCES = 256
"""Sequences of all workers that the thread asks for at once, or one batch if that is more.

Python's lock changes hands every 5 ms at best, longer than a step of a small model takes: a thread
that needed it for every batch would fall behind.
"""


class Prefetcher:
    """One worker's share of every global batch, in order, from a thread that works ahead.

    Global batch b holds positions ``b * batch_size … (b + 1) * batch_size - 1`` of the source,
    whatever the number of workers; worker r of W takes the positions ≡ r modulo W.

    Args:
        source: where sequences come from; sampling and reading leave Python's lock to others.
        batch_size: sequences of a global batch, a multiple of ``world_size``.
        rank: this worker.
        world_size: number of workers.
        first_batch: number of the first global batch, above 0 in a resumed run.
    """

    def __init__(
        self,
        source: TokenSource,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        first_batch: int = 0,
    ) -> None:
        self._source, self._batch_size = source, batch_size
        self._rank, self._world_size = rank, world_size
        self._num_batches = max(1, _BLOCK_SEQUENCES // batch_size)
        # Two blocks lie ready while the thread works on the third.
        self._queue: queue.Queue[NDArray[np.int64] | BaseException] = queue.Queue(
            2 * self._num_batches
        )
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(first_batch,), daemon=True)
        self.wait_s = 0.0
        """Seconds that :meth:`next` has waited so far."""

    def __enter__(self) -> Prefetcher:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    def next(self) -> NDArray[np.int64]:
        """This worker's share of the next batch, ``[batch_size / world_size, seq_len]``.

        Raises:
            BaseException: whatever the source raised in its thread.
        """
        began = time.perf_counter()
        item = self._queue.get()
        self.wait_s += time.perf_counter() - began
        if isinstance(item, BaseException):
            raise item
        return item

    def _fill(self, batch: int) -> None:
        while not self._closed.is_set():
            try:
                rows = self._source.rows(self._positions(batch)).astype(np.int64)
            except BaseException as error:  # handed to the thread that asks for the batch
                self._put(error)
                return
            for part in np.split(rows, self._num_batches):
                self._put(part)
            batch += self._num_batches

    def _positions(self, batch: int) -> NDArray[np.int64]:
        """This worker's positions in a block of global batches that begins with ``batch``."""
        first, last = batch * self._batch_size, (batch + self._num_batches) * self._batch_size
        return np.arange(first + self._rank, last, self._world_size)

    def _put(self, item: NDArray[np.int64] | BaseException) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
