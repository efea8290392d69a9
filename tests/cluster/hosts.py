"""Hosts in namespaces: own address, processes, temp folder, home and SSH server on one machine.

A host is a tree of processes under one that dies with the test's; its namespaces have no names, so
nothing outlives it, and nothing outside is touched: no interface, no home, no process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300
"""How long anything may take on a busy machine."""


def missing() -> str:
    """Why hosts cannot be made here, empty where they can."""
    if os.geteuid() != 0:
        return "needs root"
    tools = ("ip", "unshare", "nsenter", "setpriv", "mount", "ssh", "ssh-keygen", "rsync", "make")
    gone = [tool for tool in tools if shutil.which(tool) is None]
    if not Path("/usr/sbin/sshd").exists():
        gone.append("sshd")
    if gone:
        return f"not installed: {', '.join(gone)} (Debian: iproute2 openssh-server rsync)"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c",
         "mount -t tmpfs tmpfs /run && ip link add lr-a type veth peer name lr-b && "
         "ip link add lr-c type bridge"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


def wait_until(true, what: str, patience_s: float = PATIENCE_S):
    """Polls until ``true()`` says so; returns what it said."""
    end = time.monotonic() + patience_s
    while not (answer := true()):
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.3)
    return answer


class Namespaces:
    """A process in fresh namespaces, which dies with this one; ``pid`` is seen from outside."""

    def __init__(self, *kinds: str, command: list[str], log: Path) -> None:
        flags = [f"--{kind}" for kind in kinds]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *flags, "--fork", "--kill-child",
                 *command],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/",
            )  # fmt: skip
        self._outer = psutil.Process(self._process.pid)
        self.pid = wait_until(self._first, f"a namespace; see {log}")

    def _first(self) -> int:
        assert self._process.poll() is None, "the namespace's first process has ended"
        return next((child.pid for child in self._outer.children()), 0)

    def stop(self) -> None:
        """Ends every process inside."""
        self._process.kill()
        self._process.wait()


class Host:
    """One machine of the network."""

    def __init__(self, name: str, address: str, folder: Path, shared: Path) -> None:
        self.name, self.address, self.folder = name, address, folder
        self.home, self.log = folder / "tmp" / "home", folder / "log"
        (self.home / ".ssh").mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        (self.home / ".bashrc").touch()
        # Below /tmp each host sees its own files, so what all need is shown again.
        needed = {shared, ROOT, Path(sys.prefix), Path(sys.base_prefix)}
        self._kept = [str(path) for path in needed if path.is_relative_to("/tmp")]

    def start(self, network: Network) -> None:
        """Writes the host's own files, starts it and plugs it in."""
        self._write_files(network)
        script = ["bash", str(Path(__file__).with_name("host.sh")), self.name, str(self.folder)]
        self._namespaces = Namespaces(
            "mount", "net", "pid", "uts", "mount-proc",
            command=[*script, *self._kept], log=self.log,
        )  # fmt: skip
        wait_until((self.folder / "ready").exists, f"host {self.name}; see {self.log}")
        network.plug(self)

    def _write_files(self, network: Network) -> None:
        folder = self.folder
        home = "/tmp/home"
        accounts = [
            line
            for line in Path("/etc/passwd").read_text().splitlines()
            if not line.startswith("root:")
        ]
        accounts.insert(0, f"root:x:0:0:root:{home}:/bin/bash")
        (folder / "passwd").write_text("\n".join(accounts) + "\n")
        (folder / "shadow").write_text("root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n")
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "hostkey"], check=True
        )
        shutil.copy(network.key.with_suffix(".pub"), folder / "authorized_keys")
        shutil.copy(network.key, self.home / ".ssh" / "id_ed25519")
        (folder / "sshd_config").write_text(
            f"Port 22\nHostKey {folder}/hostkey\nAuthorizedKeysFile {folder}/authorized_keys\n"
            "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nMaxStartups 100\n"
        )
        for path in (folder, *folder.iterdir()):
            if path.name in ("hostkey", "shadow"):
                path.chmod(0o600)

    def give_environment(self, path: str) -> None:
        """Shows this Python environment at ``path`` in the home, as if it were installed there."""
        environment = self.home / path
        environment.mkdir(parents=True)
        for entry in Path(sys.prefix).iterdir():
            if not entry.name.startswith("installed"):
                (environment / entry.name).symlink_to(entry)
        (environment / "installed").touch()

    def command(self, *words: str | Path) -> list[str]:
        """The command that runs ``words`` on this host, in its home."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "-u"]
        environment = ["env", "-i", "HOME=/tmp/home", f"PATH={Path(sys.executable).parent}:"
                       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "TERM=dumb", "LANG=C.UTF-8", "USER=root"]  # fmt: skip
        return [*enter, *environment, *map(str, words)]

    def run(self, *words: str | Path, check: bool = True, timeout_s: float = PATIENCE_S) -> str:
        """Runs a command to its end; returns stdout and stderr together."""
        done = subprocess.run(
            self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{self.name}: {words}\n{done.stdout}"
        return done.stdout

    @property
    def pid(self) -> int:
        """Its first process, seen from outside."""
        return self._namespaces.pid

    def processes(self) -> list[psutil.Process]:
        """All its processes, seen from outside."""
        place = _namespace(self.pid)
        return [process for process in psutil.process_iter() if _namespace(process.pid) == place]

    def stop(self) -> None:
        """Ends it with all its processes."""
        self._namespaces.stop()


def _namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


class Network:
    """A switch in a network namespace of its own, and hosts plugged into it; a context manager."""

    def __init__(self, **addresses: str) -> None:
        self._addresses = addresses

    def __enter__(self) -> Network:
        # Short: Unix sockets below it must stay under 108 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="lr-net-"))
        self.key = self.folder / "key"
        self.shared = self.folder / "shared"
        self.shared.mkdir()
        self.hosts: dict[str, Host] = {}
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self._switch = Namespaces(
            "net", command=["sleep", "infinity"], log=self.folder / "switch.log"
        )
        self._ip("link", "add", "switch", "type", "bridge")
        self._ip("link", "set", "switch", "up")
        for name, address in self._addresses.items():
            host = Host(name, address, self.folder / name, self.shared)
            self.hosts[name] = host
            host.start(self)

    def __exit__(self, *_: object) -> None:
        for host in self.hosts.values():
            if hasattr(host, "_namespaces"):
                host.stop()
        if hasattr(self, "_switch"):
            self._switch.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def plug(self, host: Host) -> None:
        """Connects a started host."""
        self._ip("link", "add", host.name, "type", "veth",
                 "peer", "name", "eth0", "netns", str(host.pid))  # fmt: skip
        self._ip("link", "set", host.name, "master", "switch")
        self.join(host)
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")

    def cut(self, host: Host) -> None:
        """Pulls the host's cable: packets vanish, nobody is told."""
        self._ip("link", "set", host.name, "down")

    def join(self, host: Host) -> None:
        """Puts the cable back."""
        self._ip("link", "set", host.name, "up")

    def hide_shared(self, host: Host) -> None:
        """Takes the shared folder from a host, as a file server's that is out of reach."""
        host.run("umount", "--lazy", self.shared)

    def _ip(self, *words: str) -> None:
        subprocess.run(["nsenter", "-t", str(self._switch.pid), "-n", "ip", *words], check=True)
