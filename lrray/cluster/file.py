"""Cluster files: what can be wrong with one is said in a line before Ray is asked.

``ray up`` answers the same mistakes with a stack trace, after minutes, or not at all.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from lrray.config import key_path
from lrray.errors import LrrayError, did_you_mean
from lrray.yaml_text import load_foreign_yaml

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*>")
_CLASSIC = ("head_node", "worker_nodes", "min_workers")
"""Keys of cluster files from before there were types of nodes; Ray still takes them."""
_WAIT_S = 10.0
"""How long a machine may take to answer; ``ray up`` would wait for many minutes."""


def read_cluster_file(path: str | Path) -> dict[str, Any]:
    """Reads and checks a cluster file as far as that goes without the cluster.

    Raises:
        LrrayError: it is no cluster file of Ray's, something is left to fill in, or a file that it
            names is missing.
    """
    data = load_foreign_yaml(path)
    where = str(path)
    for place, text in _texts(data):
        left = _PLACEHOLDER.search(text)
        if left:
            raise LrrayError(
                f"{where}: {key_path(place)}", f"{left.group()} is to be filled in",
                fix="write your own value there",
            )  # fmt: skip
    _check_provider(data, where)
    _check_schema(data, where)
    _check_files(data, where)
    return data


def check_reachable(data: Mapping[str, Any], where: str) -> None:
    """Checks that the head of a cluster of own machines answers on its SSH port.

    Raises:
        LrrayError: there is no ``ssh`` here, or nothing answers.
    """
    head = data["provider"].get("head_ip")
    auth = data.get("auth", {})
    if head is None or auth.get("ssh_proxy_command"):
        return
    settings = _ssh_settings(f"{auth.get('ssh_user', '')}@{head}", where)
    if settings.get("proxyjump", "none") != "none" or "proxycommand" in settings:
        return
    host, port = settings["hostname"], int(settings["port"])
    try:
        socket.create_connection((host, port), _WAIT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise LrrayError(
            f"{where}: provider.head_ip", f"no SSH server answers at {host}:{port}: {reason}",
            fix="check the address, that the machine is on, and that sshd runs there",
        ) from None  # fmt: skip


def quiet() -> None:
    """Keeps Ray's remarks off the terminal; some of its loggers have levels of their own."""
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "ray"]:
        logging.getLogger(name).setLevel(logging.ERROR)


def _ssh_settings(target: str, where: str) -> dict[str, str]:
    """What ``ssh`` itself would use for a target: user configuration included.

    The target comes from a file that may be anybody's, so it must not be read as an option.
    """
    try:
        done = subprocess.run(
            ["ssh", "-G", "--", target], capture_output=True, text=True, check=True, timeout=60
        )
    except FileNotFoundError:
        raise LrrayError(where, "needs the command ssh", fix="install an SSH client") from None
    except subprocess.CalledProcessError as error:
        raise LrrayError(
            where, f"ssh refuses {target}: {error.stderr.strip()}", fix="mend ~/.ssh/config"
        ) from None
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}


def _texts(data: Any, place: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], str]]:
    """Every text of nested data with the keys that lead to it."""
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _texts(value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, (*place, index))


def _check_provider(data: Mapping[str, Any], where: str) -> None:
    """Checks what Ray's schema leaves open and its launcher answers by ending the process."""
    from ray.autoscaler._private.providers import _NODE_PROVIDERS

    provider = data.get("provider")
    if not isinstance(provider, Mapping) or "type" not in provider:
        raise LrrayError(
            f"{where}: provider.type", "this key is required", fix="add 'provider: {type: aws}'"
        )
    kind = provider["type"]
    if not isinstance(kind, str) or kind not in _NODE_PROVIDERS:
        raise LrrayError(
            f"{where}: provider.type", "no provider of Ray's has this name", got=kind,
            fix=did_you_mean(str(kind), _NODE_PROVIDERS),
        )  # fmt: skip
    for key in ("head_node", "worker_nodes"):
        if data.get(key) and kind != "local":
            raise LrrayError(
                f"{where}: {key}", "Ray takes nodes by their types alone",
                fix="move what it holds to available_node_types, as node_config of a type",
            )  # fmt: skip
    if kind != "local" or "coordinator_address" in provider:
        return
    for key in ("head_ip", "worker_ips"):
        if key not in provider:
            raise LrrayError(
                f"{where}: provider.{key}", "this key is required", fix=f"add '{key}: …'"
            )
    for key in ("head_node", "worker_nodes", "available_node_types"):
        if data.get(key):
            raise LrrayError(f"{where}: {key}", "own machines have no types", fix="leave it out")


def _check_schema(data: dict[str, Any], where: str) -> None:
    """Ray's own check: of the file, then with the defaults filled in as ``ray up`` does it."""
    import ray.autoscaler
    from jsonschema import ValidationError, validate
    from ray.autoscaler._private.util import prepare_config, validate_config

    quiet()  # it would tell of every default
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    # `ray up` takes these out by itself before it checks.
    current = {key: value for key, value in data.items() if key not in _CLASSIC}
    try:
        # What is missing may be among the defaults, e.g. the cluster's name.
        validate(current, {**json.loads(schema.read_bytes()), "required": []})
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it tells of old keys
            validate_config(prepare_config(data))
    except ValidationError as error:
        place = key_path(error.absolute_path)
        raise LrrayError(
            f"{where}: {place}" if place else where, error.message.split("\n")[0],
            fix="see the comments in the cluster.yaml that ships",
        ) from None  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LrrayError(
            where, f"Ray does not take it: {error}", fix="start from the cluster.yaml that ships"
        ) from None


def _check_files(data: Mapping[str, Any], where: str) -> None:
    key = data.get("auth", {}).get("ssh_private_key")
    if key is not None and not Path(key).expanduser().is_file():
        raise LrrayError(
            f"{where}: auth.ssh_private_key", f"there is no {key}",
            fix="name your key, or make one with ssh-keygen",
        )  # fmt: skip
    for target, source in data.get("file_mounts", {}).items():
        path = Path(source).expanduser()
        # Relative ones are for `ray up` at the top of the source tree; this may be elsewhere.
        if path.is_absolute() and not path.exists():
            raise LrrayError(
                f"{where}: file_mounts.{target}", f"there is no {source}",
                fix="ray get-auth-token --generate" if path.name == "auth_token"
                else "name a file or folder that is there",
            )  # fmt: skip
