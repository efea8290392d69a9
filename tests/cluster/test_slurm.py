"""``clusters/slurm.sh`` under a real Slurm: two nodes in namespaces, an array, a job put back.

Slurm is Debian's (packages slurm-wlm and munge); without it the test is skipped.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lrray.config import dump_yaml
from tests.cluster.hosts import ROOT, Host, Network, missing, wait_until

pytestmark = pytest.mark.cluster

TOOLS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol", "squeue")
NODES = {"first": "10.78.0.1", "second": "10.78.0.2"}

CONFIGURATION = """ClusterName=test
SlurmctldHost=first({first})
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={shared}/slurm/state
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmdSpoolDir=/run/slurmd
SlurmctldLogFile={shared}/slurm/slurmctld.log
SlurmdLogFile={shared}/slurm/slurmd-%n.log
GresTypes=gpu
NodeName=first NodeAddr={first} CPUs=2 State=UNKNOWN
NodeName=second NodeAddr={second} CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

STUDY = {
    "kind": "function", "question": "q", "hypothesis": "h",
    "function": "tests.cluster.slurm_cells:slow", "grid": {"settings.x": {"start": 0, "stop": 6}},
}  # fmt: skip


def skip_reason() -> str:
    gone = [tool for tool in TOOLS if shutil.which(tool, path="/usr/sbin:/usr/bin:/bin") is None]
    return f"no Slurm: {', '.join(gone)} (Debian: slurm-wlm munge)" if gone else missing()


@pytest.fixture(scope="module")
def network():
    if reason := skip_reason():
        pytest.skip(reason)
    with Network(**NODES) as network:
        slurm = network.shared / "slurm"
        (slurm / "state").mkdir(parents=True)
        (slurm / "key").write_bytes(b"k" * 1024)
        (slurm / "key").chmod(0o400)
        configuration = CONFIGURATION.format(**NODES, shared=network.shared)
        (slurm / "slurm.conf").write_text(configuration)
        for host in network.hosts.values():
            host.run("mkdir", "-p", "/run/munge", "/run/slurmd", "/tmp/home/.ray")
            host.run("sh", "-c", "echo token-of-the-test > /tmp/home/.ray/auth_token")
            files = {"key": f"{slurm}/key", "log": f"{slurm}/munged-{host.name}.log",
                     "pid": "/run/munge/pid", "seed": "/run/munge/seed"}  # fmt: skip
            named = [f"--{what}-file={path}" for what, path in files.items()]
            host.run("munged", "--force", "--socket=/run/munge/munge.socket.2", *named)
            host.give_environment("lrray-env")
        first = network["first"]
        first.run("slurmctld", "-f", slurm / "slurm.conf")
        for host in network.hosts.values():
            host.run("slurmd", "-f", slurm / "slurm.conf")
        wait_until(
            lambda: slurm_says(first, "sinfo", "-h", "-o", "%T %D").startswith("idle 2"),
            "two idle nodes", 60,
        )  # fmt: skip
        yield network


def slurm_says(host: Host, *words: str | Path) -> str:
    """What a command of Slurm's says."""
    return host.run("env", *settings(host), *words, check=False)


def settings(host: Host) -> list[str]:
    shared = host.folder.parent / "shared"
    return [
        f"SLURM_CONF={shared}/slurm/slurm.conf", f"PYTHONPATH={ROOT}",
        f"LRRAY_RESULTS={shared}/results", "LRRAY_ENV=/tmp/home/lrray-env",
        "RAY_TMPDIR=/tmp",
    ]  # fmt: skip


def submit(network: Network, *words: str | Path) -> str:
    """Submits from the shared folder; returns the job's number."""
    small = ["--cpus-per-task=1", "--gpus-per-node=0", "--mem=0", "--time=30",
             f"--chdir={network.shared}"]  # fmt: skip
    told = slurm_says(network["first"], "sbatch", *small, *words)
    found = re.search(r"Submitted batch job (\d+)", told)
    assert found, told
    return found[1]


def state(network: Network, job: str) -> set[str]:
    told = slurm_says(network["first"], "scontrol", "show", "job", job)
    return set(re.findall(r"JobState=(\w+)", told))


def finished(network: Network, job: str) -> bool:
    found = state(network, job)
    logs = [p.read_text()[-3000:] for p in network.shared.glob("lrray-*.log")]
    assert not found & {"FAILED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL"}, "\n".join(logs)
    return found == {"COMPLETED"}


def cells(network: Network, study: str) -> dict[str, bytes]:
    place = network.shared / "results" / study
    return {path.name: path.read_bytes() for path in place.glob("*/cells/*.json")}


def test_a_job_put_back_into_the_queue_goes_on_where_it_was(network, diary) -> None:
    (network.shared / "two.yaml").write_text(dump_yaml(STUDY))
    job = submit(network, ROOT / "clusters/slurm.sh", "two.yaml", "resources.cpu=0.5")
    diary.step(f"job {job} on two nodes submitted")
    wait_until(lambda: len(cells(network, "two")) >= 2, "two cells")
    diary.step("two cells are done: scontrol requeue")
    before = cells(network, "two")
    slurm_says(network["first"], "scontrol", "requeue", job)
    # Slurm itself waits two minutes before it starts such a job again.
    wait_until(lambda: finished(network, job), "the end of the job", 900)
    diary.step("the job has ended")
    after = cells(network, "two")
    assert len(after) == 6
    assert before.items() <= after.items()
    nodes = {path.name for path in (network.shared / "nodes").iterdir()}
    assert nodes == {"first", "second"}


def test_every_task_of_an_array_runs_its_own_study(network, diary) -> None:
    for number in range(2):
        few = {**STUDY, "grid": {"settings.x": [number, number + 10]}}
        (network.shared / f"task_{number}.yaml").write_text(dump_yaml(few))
    script = network.shared / "array.sh"
    own = f"{ROOT}/clusters/slurm.sh"
    script.write_text(f"#!/bin/bash\nexec bash {own} task_$SLURM_ARRAY_TASK_ID.yaml\n")
    # Each on a node of its own, as the script says: it ends every Ray of its user's there.
    job = submit(network, "--array=0-1", "--nodes=1", "--exclusive", script)
    wait_until(lambda: finished(network, job), "the array's end")
    diary.step(f"array {job} of two tasks has ended")
    assert [len(cells(network, f"task_{number}")) for number in range(2)] == [2, 2]
