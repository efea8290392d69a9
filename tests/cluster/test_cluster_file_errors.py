"""A broken cluster file is answered in one line, before Ray is asked."""

import socket
import subprocess
import sys

import pytest
import yaml

from lrray.cluster.file import _ssh_settings, check_reachable, read_cluster_file
from lrray.errors import LrrayError
from tests.cluster.hosts import ROOT
from tests.studies.small_study import environment
from tests.studies.small_study import write as write_study


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a good file of own machines with some keys changed; None leaves one out."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").touch()
    good = {
        "cluster_name": "mine",
        "provider": {"type": "local", "head_ip": "127.0.0.1", "worker_ips": []},
        "auth": {"ssh_user": "ada", "ssh_private_key": "~/key"},
        "file_mounts": {},
    }

    def write(**changes):
        path = tmp_path / "cluster.yaml"
        data = {key: value for key, value in {**good, **changes}.items() if value is not None}
        path.write_text(yaml.safe_dump(data))
        return path

    return write


LOCAL = {"type": "local", "head_ip": "10.0.0.1", "worker_ips": []}
MISTAKES = [
    ({"provider": {**LOCAL, "head_ip": "<HEAD_IP>"}}, "provider.head_ip: <HEAD_IP> is to be"),
    ({"provider": {**LOCAL, "worker_ips": ["<W>"]}}, "provider.worker_ips[0]: <W> is to be"),
    ({"provider": None}, "provider.type: this key is required"),
    ({"provider": {**LOCAL, "type": "awz"}}, "did you mean 'aws'?"),
    ({"provider": {"type": "local", "head_ip": "10.0.0.1"}}, "provider.worker_ips: this key is"),
    ({"provider": {"type": "local", "worker_ips": []}}, "provider.head_ip: this key is required"),
    ({"available_node_types": {"a": {}}}, "available_node_types: own machines have no types"),
    ({"max_worker": 3}, "'max_worker' was unexpected"),
    ({"idle_timeout_minutes": "ten"}, "idle_timeout_minutes: 'ten' is not of type"),
    ({"setup_commands": "make"}, "setup_commands: 'make' is not of type 'array'"),
    ({"auth": {"ssh_user": "ada", "ssh_private_key": "~/gone"}}, "there is no ~/gone"),
    ({"file_mounts": {"~/.ray/auth_token": "~/.ray/auth_token"}}, "ray get-auth-token --generate"),
    ({"file_mounts": {"~/data": "/nowhere/data"}}, "file_mounts.~/data: there is no /nowhere/data"),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES)
def test_each_mistake_is_named_in_one_line(file, changes, said):
    path = file(**changes)
    with pytest.raises(LrrayError) as caught:
        read_cluster_file(path)
    line = str(caught.value)
    assert line.startswith(str(path))
    assert said in line
    assert "(fix: " in line
    assert "\n" not in line


def test_the_unchanged_file_is_good(file):
    assert read_cluster_file(file())["cluster_name"] == "mine"


def test_cloud_without_its_head_type_is_refused(file):
    types = {"head": {"node_config": {}, "resources": {}}}
    changes = {"provider": {"type": "aws", "region": "us-west-2"}, "available_node_types": types}
    with pytest.raises(LrrayError, match="head_node_type"):
        read_cluster_file(file(**changes, head_node_type="haed"))


def test_head_without_ssh_is_named_with_its_port(file, tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        ssh = tmp_path / "bin" / "ssh"
        ssh.parent.mkdir()
        # The user's own SSH settings choose the port; OpenSSH reads them from the account's home.
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -p {port} "$@"\n')
        ssh.chmod(0o755)
        monkeypatch.setenv("PATH", f"{ssh.parent}:/usr/bin:/bin")
        path = file()
        with pytest.raises(LrrayError, match=f"no SSH server answers at 127.0.0.1:{port}: Conn"):
            check_reachable(read_cluster_file(path), str(path))
        closed.listen()
        check_reachable(read_cluster_file(path), str(path))


def lrray(cwd, *words):
    """The real command, in a folder."""
    return subprocess.run(
        [sys.executable, "-c", "from lrray.cli.app import main; main()", *map(str, words)],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


COMMANDS = [("submit", "small.yaml"), ("status",), ("follow",), ("stop",), ("fetch",)]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_answers_a_broken_file_in_one_line(file, tmp_path, words):
    (tmp_path / "work").mkdir()
    write_study(tmp_path / "work")
    path = file(idle_timeout_minutes="ten")
    done = lrray(tmp_path / "work", *words, "--cluster", path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "idle_timeout_minutes: 'ten' is not of type 'number'" in done.stderr
    assert done.stdout == ""


WRONG = [
    (("status",), "give one of them (fix: --cluster cluster.yaml, or --address HOST:8265)"),
    (("status", "--address", "somewhere"), "must be HOST:PORT or a URL of Ray's dashboard"),
    (("status", "--address", "ftp://a:1"), "must be HOST:PORT or a URL of Ray's dashboard"),
    (("status", "--address", "127.0.0.1:1"), "nothing answers there: Connection refused"),
    (("submit", "nope", "--address", "h:1"), "no such study"),
    (("submit", "small.yaml", "seeds=x", "--address", "h:1"), "seeds: must be a number of seeds"),
    (("submit", "small.yaml", "--out", "here", "--address", "h:1"), "must be a whole path on the"),
    (("submit", "../outside.yaml", "--address", "h:1"), "the folder that is shipped"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_wrong_words_are_answered_in_one_line(tmp_path, words, said):
    (tmp_path / "work").mkdir()
    write_study(tmp_path / "work")
    write_study(tmp_path, "outside")
    done = lrray(tmp_path / "work", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr


def test_a_home_is_not_shipped(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_study(tmp_path)
    done = lrray(tmp_path, "submit", "small.yaml", "--address", "127.0.0.1:1")
    assert done.returncode == 2
    assert "the working folder is shipped whole, and this one is no study's" in done.stderr


def test_the_shipped_file_says_what_is_to_be_filled_in():
    with pytest.raises(LrrayError, match="<IMAGE> is to be filled in"):
        read_cluster_file(ROOT / "cluster.yaml")


def test_a_user_name_in_a_file_is_no_option_of_ssh(tmp_path):
    """``-F FILE`` would make ssh read a configuration that may run commands."""
    config = tmp_path / "config@host"
    config.write_text(f'Match exec "touch {tmp_path / "ran"}"\n')
    with pytest.raises(LrrayError, match="ssh refuses"):
        _ssh_settings(f"-F{config}", "cluster.yaml")
    assert not (tmp_path / "ran").exists()
