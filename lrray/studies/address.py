"""Where Ray is to run."""

from __future__ import annotations

import socket

from lrray.errors import LrrayError

WAIT_S = 5.0
"""How long a cluster may take to answer: Ray itself would try for minutes."""


def check_address(address: str) -> None:
    """Refuses an address that is no address, or where nothing answers.

    Raises:
        LrrayError: what to write instead.
    """
    if address in ("local", "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise LrrayError(
            "--address", "must be local, auto or HOST:PORT", got=address, fix="e.g. 10.0.0.2:6379"
        )
    try:
        socket.create_connection((host, int(port)), WAIT_S).close()
    except OSError as error:
        raise LrrayError(
            f"--address {address}", f"nothing answers there: {error.strerror or error}",
            fix="start a cluster with 'ray up cluster.yaml', or leave --address out",
        ) from None  # fmt: skip
