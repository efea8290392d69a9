"""Studies on a cluster that starts nodes when cells wait for them, and lets idle ones go.

The cluster is Ray's autoscaler with Ray's provider of nodes on this machine: every node has a
raylet of its own.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.faults import driver
from tests.faults.driver import (
    PATIENCE_S,
    begun,
    cells,
    kill,
    only_run,
    start,
    wait_for,
    write_study,
)

pytestmark = pytest.mark.slow

CPUS = 2
"""Of each of the two nodes that may be started; the head has none."""

_WATCH = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
for _ in sys.stdin:
    print(">", sum(node["Alive"] for node in ray.nodes()) - 1, flush=True)
"""


class AutoscalingCluster:
    """A head without CPUs, and up to two nodes that its autoscaler starts; a context manager.

    Ray's class of this name needs a file that Ray's wheel lacks, and stops every Ray process of the
    machine.
    """

    def __enter__(self):
        # Ray makes sockets there, whose paths must be short.
        self._place = Path(tempfile.mkdtemp(prefix="lrray-nodes-", dir="/tmp"))
        from ray.util import get_node_ip_address

        port, client_port = free_ports()
        self.address = f"{get_node_ip_address()}:{port}"
        configuration = self._place / "cluster.yaml"
        configuration.write_text(json.dumps(self._configuration()))
        command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block"]
        command += [f"--port={port}", "--num-cpus=0", "--include-dashboard=false"]
        command += [
            "--min-worker-port=0",
            "--max-worker-port=0",
            f"--ray-client-server-port={client_port}",
        ]
        command += [f"--temp-dir={self._place}/ray", f"--autoscaling-config={configuration}"]
        with (self._place / "output").open("w") as output:
            self._head = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True,
                env={
                    **os.environ,
                    "RAY_FAKE_CLUSTER": "1",
                    "RAY_enable_autoscaler_v2": "0",  # as in the cluster files
                    "RAY_AUTH_MODE": "disabled",  # as drivers that are given an address expect
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
                    "AUTOSCALER_HEARTBEAT_TIMEOUT_S": "10",
                },
            )  # fmt: skip
        try:
            self._watcher = self._watch()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        kill(self._watcher)
        self._end()

    def _end(self):
        kill(self._head)  # with all below it, the other nodes included
        shutil.rmtree(self._place, ignore_errors=True)

    def _configuration(self):
        """All of it: no defaults are filled in where ``ray up`` did not start the head."""
        lists = ["cluster_synced_files", "initialization_commands", "setup_commands"]
        lists += [f"{kind}_setup_commands" for kind in ("head", "worker")]
        lists += [f"{kind}_start_ray_commands" for kind in ("head", "worker")]
        provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
        resources = {"CPU": CPUS, "object_store_memory": 100_000_000}
        return {
            "cluster_name": "autoscaling",
            "provider": {
                "type": "external",  # by its own name, its defaults are looked for and missed
                "module": provider,
                "gcs_address": self.address,
                "use_node_id_as_ip": True,  # nodes share the machine's
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "max_workers": 2,
            "upscaling_speed": 1.0,
            "idle_timeout_minutes": 0.1,
            "head_node_type": "ray.head.default",
            "available_node_types": {
                "ray.head.default": {"resources": {}, "node_config": {}, "max_workers": 0},
                "cpu2": {"resources": resources, "node_config": {}, "max_workers": 2},
            },
            **{name: {} for name in ("auth", "docker", "file_mounts")},
            **{name: [] for name in lists},
        }

    def _watch(self):
        """A process that counts nodes, once the head answers."""
        deadline = time.monotonic() + PATIENCE_S
        while "Ray runtime started" not in (self._place / "output").read_text():
            assert self._head.poll() is None, (self._place / "output").read_text()
            assert time.monotonic() < deadline, "the head did not start"
            time.sleep(0.2)
        return subprocess.Popen(
            [sys.executable, "-c", _WATCH, self.address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def nodes(self):
        """Nodes beside the head that Ray says are alive."""
        self._watcher.stdin.write("\n")
        self._watcher.stdin.flush()
        for line in self._watcher.stdout:
            if line.startswith("> "):
                return int(line[2:])
        raise AssertionError("the process that watches the cluster has ended")

    def take_nodes(self):
        """Kills all nodes beside the head without notice, as a cloud takes spot instances."""
        family = psutil.Process(self._head.pid).children(recursive=True)
        raylets = [one for one in family if one.name() == "raylet" and one.ppid() != self._head.pid]
        assert raylets
        for member in [one for raylet in raylets for one in (raylet, *raylet.children(True))]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


def free_ports():
    """Two of them."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("", 0))
        other.bind(("", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def cluster():
    with AutoscalingCluster() as cluster:
        yield cluster


@pytest.fixture
def log(tmp_path, cluster, monkeypatch):
    """File to which cells write; the test begins with no nodes."""
    monkeypatch.setattr(driver, "address", cluster.address)
    wait_for(lambda: cluster.nodes() == 0)
    path = tmp_path / "log"
    path.touch()
    return path


def write(tmp_path, function, num_cells, log):
    return write_study(
        tmp_path, function, {"settings.i": {"start": 0, "stop": num_cells}}, {"log": str(log)},
        resources={"wait_for_nodes_min": 5},
    )  # fmt: skip


def ended(process):
    """Waits for the driver; whether it ended well."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output


def num_done(out):
    runs = [path.parent for path in out.glob("faulty/*/study.yaml")]
    return sum(cell.state == "done" for run in runs for cell in cells(run))


def test_a_cluster_back_at_no_nodes_gets_them_again_for_what_is_left(tmp_path, cluster, log):
    out, allowed = tmp_path / "out", log.with_suffix(".allowed")
    # A study starts the nodes it needs, and is killed in its middle: they go.
    allowed.write_text("4")
    process = start(write(tmp_path, "counted", 8, log), out)
    try:
        wait_for(lambda: num_done(out) == 4, process)
        wait_for(lambda: cluster.nodes() == 2, process)
    finally:
        kill(process)
    wait_for(lambda: cluster.nodes() == 0)
    # They come again for its other cells and two new ones, and go.
    allowed.write_text("9")
    study = write(tmp_path, "counted", 10, log)
    process = start(study, out, "--resume")
    try:
        wait_for(lambda: num_done(out) == 9, process)
        assert cluster.nodes() > 0
        allowed.unlink()
        ended(process)
    finally:
        kill(process)
    wait_for(lambda: cluster.nodes() == 0)
    assert Counter(log.read_text().split()) == {str(i): 1 for i in range(10)}
    assert sorted(cell.result["square"] for cell in cells(only_run(out))) == [
        float(i * i) for i in range(10)
    ]


def test_nodes_that_are_all_taken_away_are_replaced_while_the_study_runs(tmp_path, cluster, log):
    out, hold = tmp_path / "out", log.with_suffix(".hold")
    hold.touch()
    process = start(write(tmp_path, "checkpointed", 4, log), out)
    try:
        wait_for(lambda: at_step_10(out) == 4, process)
        cluster.take_nodes()
        wait_for(lambda: cluster.nodes() == 0, process)
        hold.unlink()
        wait_for(lambda: cluster.nodes() > 0, process)
        ended(process)
    finally:
        kill(process)
    tries = begun(log)
    assert Counter(i for i, _, _ in tries) == dict.fromkeys(range(4), 2)
    assert all(step == 10 for _, step, _ in tries[4:])
    assert [cell.result for cell in cells(only_run(out))] == [{"steps": 30.0}] * 4


def at_step_10(out):
    """Cells that are held there."""
    return sum(path.read_text() == "10" for path in out.glob("faulty/*/checkpoints/*/step"))
