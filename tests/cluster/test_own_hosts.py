"""``clusters/local.yaml`` on four hosts: a laptop, a head and two workers, over SSH."""

import json
import subprocess

import pytest
import yaml

from lrray.results.run import read_record
from tests.cluster.hosts import PATIENCE_S, ROOT, Network, missing, wait_until
from tests.cluster.rendered import render
from tests.studies.small_study import STUDY

pytestmark = pytest.mark.cluster

CELLS = """
import os
import time
from pathlib import Path

def gated(i, shared):
    (Path(shared) / "begun" / f"{os.uname().nodename}-{i}").touch()
    while i >= 6 and not (Path(shared) / "gate").exists():
        time.sleep(0.2)
    return {"square": float(i * i)}
"""
NUM_CELLS = 24


def grid_study(shared):
    """A grid whose cells, but for the first, wait until the gate opens."""
    return {
        "kind": "function",
        "question": "Does a grid outlive a host?",
        "hypothesis": "It does.",
        "function": "cells:gated",
        "settings": {"shared": str(shared)},
        "grid": {"settings.i": {"start": 0, "stop": NUM_CELLS}},
    }


RAY = ("raylet", "gcs_server")
FILE = "clusters/local.yaml"


class Cluster:
    """Hosts on which ``ray up`` has been run, and what a user does with them from the laptop."""

    def __init__(self, network, diary):
        self.network, self.diary = network, diary
        self.laptop, self.results = network["laptop"], network.shared / "results"
        self.file = self.laptop.home / "local.yaml"

    def up(self):
        values = {
            "HEAD_IP": self.network["head"].address,
            "WORKER_IP_1": self.network["worker1"].address,
            "WORKER_IP_2": self.network["worker2"].address,
            "USER": "root",
        }
        self.file.write_text(render(ROOT / FILE, values))
        self.on_laptop("ray", "get-auth-token", "--generate")
        # On a busy machine Ray on the head gives up after its fixed 30 seconds.
        wait_until(self._ray_up, "ray up")
        self.diary.step(f"ray up -y {FILE} has returned")
        wait_until(lambda: self.num_nodes() == 3, "three nodes")
        self.diary.step("ray status: 3 nodes are active")

    def _ray_up(self):
        words = ["ray", "up", "-y", "/tmp/home/local.yaml"]
        return "Ray runtime started" in self.on_laptop(*words, folder=ROOT, check=False)

    def on_laptop(self, *words, folder="/tmp/home", check=True):
        """Runs a command; its output goes to the log."""
        host = self.laptop
        output = host.run("env", "-C", folder, *words, check=check)
        self.diary.said(f"$ {' '.join(map(str, words))}\n{output}")
        return output

    def start(self, *words, output):
        """Starts ``lrray`` in the study's folder, and leaves it running."""
        return subprocess.Popen(
            self.laptop.command("env", "-C", "/tmp/home/study", "lrray", *words, *self.named),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def lrray(self, *words):
        return self.on_laptop("lrray", *words, *self.named, folder="/tmp/home/study")

    named = ("--cluster", "/tmp/home/local.yaml")

    def num_nodes(self):
        text = self.on_head("ray status 2>&1 || true")
        active = text.partition("Active:")[2].partition("Pending:")[0]
        return sum(
            int(line.split()[0]) for line in active.splitlines() if line.strip()[:1].isdigit()
        )

    def on_head(self, command):
        return self.network["head"].run("bash", "-ic", command)

    def records(self, study):
        paths = self.results.glob(f"{study}/*/cells/*.json")
        return [read_record(path) for path in paths]

    def waiting(self, host):
        """Cells that wait at the gate on a host."""
        begun = self.network.shared.glob(f"begun/{host}-*")
        return [path.name for path in begun if int(path.name.split("-")[1]) >= 6]

    def ray_processes(self, host):
        return [
            process.name() for process in self.network[host].processes() if process.name() in RAY
        ]


@pytest.fixture(scope="module")
def cluster(diary):
    reason = missing()
    if reason:
        pytest.skip(reason)
    addresses = {"laptop": "10.77.0.1", "head": "10.77.0.2"}
    addresses |= {"worker1": "10.77.0.3", "worker2": "10.77.0.4"}
    with Network(**addresses) as network:
        diary.step("four hosts are there, each with its own address, processes, home and sshd")
        for name in ("head", "worker1", "worker2"):
            network[name].give_environment("lrray-env")
        cluster = Cluster(network, diary)
        folder = cluster.laptop.home / "study"
        folder.mkdir()
        (network.shared / "begun").mkdir()
        (folder / "cells.py").write_text(CELLS)
        (folder / "grid.yaml").write_text(yaml.safe_dump(grid_study(network.shared)))
        (folder / "small.yaml").write_text(yaml.safe_dump(STUDY))
        cluster.up()
        yield cluster


def test_studies_outlive_a_cut_worker_and_a_sleeping_laptop(cluster):
    network, diary = cluster.network, cluster.diary
    followed = network.folder / "followed"
    out = ("--out", str(cluster.results))
    with followed.open("wb") as output:
        grid = cluster.start("submit", "grid.yaml", *out, output=output)
    wait_until(
        lambda: (cluster.waiting("worker1") and cluster.records("grid")) or grid.poll() is not None,
        "cells on worker1",
    )
    assert grid.poll() is None, followed.read_text()
    diary.step("lrray submit grid.yaml: some cells are done, some run on worker1")
    cluster.lrray("submit", "small.yaml", "--detach", *out)
    diary.step("lrray submit small.yaml --detach: the difficulty study is submitted as well")

    done, lost = len(cluster.records("grid")), len(cluster.waiting("worker1"))
    network.cut(network["worker1"])
    network.hide_shared(network["worker1"])
    network.cut(network["laptop"])
    diary.step(
        f"worker1 and the laptop lose the network; {done} of {NUM_CELLS} cells are done, "
        f"{lost} run on worker1"
    )
    (network.shared / "gate").touch()
    wait_until(lambda: cluster.num_nodes() == 2, "the head to notice")
    diary.step("the head has noticed: 2 nodes are active")
    network.join(network["laptop"])
    diary.step("the laptop is back")

    assert grid.wait(PATIENCE_S) == 0, followed.read_text()
    text = followed.read_text()
    diary.said(text)
    assert text.count(f"{NUM_CELLS} of {NUM_CELLS} cells done") == 1
    assert text.count("Does a grid outlive a host?") == 1
    diary.step("lrray submit has followed the grid to its end: every cell is done")
    assert "cells failed" not in cluster.lrray("follow", _job(cluster, "small"))
    diary.step("the difficulty study has ended well")

    status = cluster.lrray("status").split()
    assert status.count("succeeded") == 2
    assert " ".join(status).count(f"{NUM_CELLS} of {NUM_CELLS}") == 1


def _job(cluster, study):
    provenance = next(cluster.results.glob(f"{study}/*/provenance.json"))
    return json.loads(provenance.read_text())["job"]


def test_results_come_home_whole(cluster):
    cluster.lrray("fetch", _job(cluster, "grid"))
    cluster.lrray("fetch", _job(cluster, "small"))
    home = cluster.laptop.home / "study" / "results"
    records = [read_record(path) for path in home.glob("grid/*/cells/*.json")]
    squares = sorted(record.result["square"] for record in records)
    assert squares == [float(i * i) for i in range(NUM_CELLS)]
    assert json.loads(next(home.glob("grid/*/summary.json")).read_text())["failed"] == 0
    summary = json.loads(next(home.glob("small/*/summary.json")).read_text())
    assert summary["failed"] == 0
    assert summary["trials"] >= STUDY["search"]["num_trials"]
    assert next(home.glob("small/*/pairs.yaml")).stat().st_size
    cluster.diary.step(f"lrray fetch: {len(records)} grid cells and the pairs are on the laptop")


def test_ways_to_the_head_that_fail_are_told_in_one_line(cluster):
    """What ``ray up`` repeats for minutes, or for ever, or says as a stack trace."""
    laptop, text = cluster.laptop, cluster.file.read_text()
    address = cluster.network["head"].address
    key = laptop.home / ".ssh" / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    mistakes = {
        "a key that the head does not know": (("id_ed25519", "other"), "Permission denied"),
        "a key that is not there": (("id_ed25519", "gone"), "there is no ~/.ssh/gone"),
        "an address without a machine": ((address, "10.77.0.99"), "no SSH server answers at 10.77"),
        "a machine without sshd": ((address, "10.77.0.1"), "10.77.0.1:22: Connection refused"),
        "a cluster that is not up": (("lrray-local", "another"), "not found"),
    }
    laptop.run("pkill", "-x", "sshd")  # the laptop's own, in its own PID namespace
    # Ray's SSH keeps a connection for ten seconds, which no key is asked for.
    laptop.run("pkill", "-x", "ssh", check=False)
    file = laptop.home / "broken.yaml"
    for mistake, ((old, new), said) in mistakes.items():
        assert old in text
        file.write_text(text.replace(old, new))
        output = laptop.run("lrray", "status", "--cluster", "/tmp/home/broken.yaml", check=False)
        cluster.diary.said(f"{mistake}: {output}")
        assert output.count("\n") == 1, output
        assert said in output
        assert "(fix: " in output
    cluster.diary.step("lrray status: five broken ways to the head are told in a line each")


def test_ray_down_ends_ray_on_every_host(cluster):
    cluster.network.join(cluster.network["worker1"])
    cluster.on_laptop("ray", "down", "-y", "/tmp/home/local.yaml", folder=ROOT)
    cluster.diary.step("ray down has returned")
    assert not cluster.ray_processes("head")
    for host in ("worker1", "worker2"):
        wait_until(lambda host=host: not cluster.ray_processes(host), f"Ray to end on {host}")
    cluster.diary.step("no Ray process is left on any host")
