"""A way to a cluster's job server: directly, or through SSH with a cluster file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from lrray.cluster.file import check_reachable, quiet, read_cluster_file
from lrray.errors import LrrayError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
"""The command ``ray`` of this environment, wherever PATH leads."""
DASHBOARD_PORT = 8265
_WAIT_S = 10.0
"""How long a job server may take to take a connection."""
_ANSWER_S = 60.0
"""How long it may take to answer: a network that went away answers nothing, for ever."""
_TUNNEL_S = 120.0
"""How long SSH may take: a cloud's nodes are asked for first."""
Answer = TypeVar("Answer")


class Connection:
    """Opens a job server and opens it again after the network was away; a context manager.

    Args:
        cluster: the cluster file it was started with; the way leads through SSH.
        address: its job server, ``HOST:PORT`` or a URL; used where there is no file.

    Raises:
        LrrayError: neither is given, or the file is wrong.
    """

    def __init__(self, cluster: Path | None, address: str | None) -> None:
        if (cluster is None) == (address is None):
            raise LrrayError(
                "--cluster, --address", "give one of them",
                fix="--cluster cluster.yaml, or --address HOST:8265",
            )  # fmt: skip
        use_token()  # before the first import of Ray
        self.cluster = cluster
        self._url = "" if address is None else job_server(address)
        self._tunnel: Tunnel | None = None
        self._client: JobSubmissionClient | None = None
        if cluster is not None:
            check_reachable(read_cluster_file(cluster), str(cluster))

    def __enter__(self) -> Connection:
        self.client()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def words(self) -> str:
        """How the user named it, for commands that are shown."""
        return f"--cluster {self.cluster}" if self.cluster else f"--address {self._url}"

    def client(self) -> JobSubmissionClient:
        """Ray's client of the job server.

        Raises:
            LrrayError: nothing answers, or it refuses the token.
        """
        if self._client is None:
            if self.cluster is not None:
                self._tunnel = Tunnel(self.cluster)
                self._url = self._tunnel.url
            self._client = _open(self._url, self.cluster is not None)
        return self._client

    def again(self, ask: Callable[[JobSubmissionClient], Answer], patience_s: float) -> Answer:
        """Asks, and opens the way anew as often as the network fails within ``patience_s``.

        Raises:
            LrrayError: it failed all that time.
        """
        import requests

        end = time.monotonic() + patience_s
        while True:
            try:
                return ask(self.client())
            except (requests.RequestException, ConnectionError) as error:
                self.close()
                if time.monotonic() > end:
                    raise LrrayError(
                        self.words, f"the cluster no longer answers: {error}",
                        fix="check the network; the job itself runs on",
                    ) from None  # fmt: skip
            except LrrayError:
                if time.monotonic() > end:
                    raise
            time.sleep(min(5.0, patience_s / 10))

    def close(self) -> None:
        """Closes the way; asking opens it again."""
        self._client = None
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None


class Tunnel:
    """``ray dashboard FILE``: a local port that leads to the head's job server through SSH.

    Raises:
        LrrayError: the cluster is not up, or SSH fails.
    """

    def __init__(self, cluster: Path) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed with the tunnel
        self._process = subprocess.Popen(
            [*RAY, "dashboard", "--port", str(port), "--remote-port", str(DASHBOARD_PORT),
             str(cluster)],
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output,
            start_new_session=True,
        )  # fmt: skip
        end = time.monotonic() + _TUNNEL_S
        while not _listens(port):
            if self._process.poll() is not None or time.monotonic() > end:
                reason = self._reason()
                self.close()
                raise LrrayError(
                    str(cluster), f"no way to the cluster's head: {reason}",
                    fix=f"is it up? 'ray up {cluster}'; see docs/cluster.md, troubleshooting",
                )  # fmt: skip
            time.sleep(0.1)

    def close(self) -> None:
        """Ends the command and its SSH."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        self._output.close()

    def _reason(self) -> str:
        """The last telling line of what the command said."""
        self._output.seek(0)
        text = self._output.read()
        for telling in (
            "Permission denied",
            "not found",
            "timed out",
            "refused",
            "No route",
            "rror",
        ):
            lines = [line for line in text.splitlines() if telling in line]
            if lines:
                return lines[-1].strip()
        return "SSH did not connect in time"


def job_server(address: str) -> str:
    """The URL of a job server from what a user types.

    Raises:
        LrrayError: it is no address.
    """
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or (port is None and parts.scheme == "http")
    ):
        raise LrrayError(
            "--address", "must be HOST:PORT or a URL of Ray's dashboard", got=address,
            fix=f"e.g. 10.0.0.2:{DASHBOARD_PORT}",
        )  # fmt: skip
    return address.rstrip("/") if "://" in address else f"http://{address}"


def use_token() -> None:
    """Has Ray send its token wherever there is one, unless the user said otherwise.

    Ray reads the mode once, when it is first imported.
    """
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if given or (Path.home() / ".ray" / "auth_token").exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _open(url: str, tunnelled: bool) -> JobSubmissionClient:
    parts = urlsplit(url)
    port = parts.port or 443
    try:
        socket.create_connection((parts.hostname or "", port), _WAIT_S).close()
    except OSError as error:
        raise LrrayError(
            f"--address {url}", f"nothing answers there: {error.strerror or error}",
            fix=f"give the address of Ray's dashboard, usually port {DASHBOARD_PORT}",
        ) from None  # fmt: skip
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    quiet()  # it would tell of every upload

    class Client(JobSubmissionClient):
        """Gives up waiting for an answer after a while."""

        def _do_request(self, *words: Any, **options: Any) -> Any:
            return super()._do_request(*words, **{"timeout": _ANSWER_S, **options})

    try:
        return Client(url)
    except AuthenticationError as error:
        raise LrrayError(
            url, f"Ray refuses the token: {str(error).splitlines()[0]}",
            fix="put the cluster's ~/.ray/auth_token here, or name it in RAY_AUTH_TOKEN_PATH",
        ) from None  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise LrrayError(
            url, f"is no job server of Ray's: {str(error).splitlines()[0]}",
            fix=f"give the address of Ray's dashboard, usually port {DASHBOARD_PORT}",
        ) from None  # fmt: skip
    except OSError as error:
        if tunnelled:  # the tunnel stands, nothing answers at its other end
            raise LrrayError(
                url, "Ray does not run on the cluster's head", fix="'ray up' the file again"
            ) from None
        raise LrrayError(
            url, f"is no job server of Ray's: {error}",
            fix=f"give the address of Ray's dashboard, usually port {DASHBOARD_PORT}",
        ) from None  # fmt: skip


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
