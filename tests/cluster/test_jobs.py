"""``lrray submit`` and its companions against a real job server, straight by its address.

Ray is started in a namespace of its own, with its token, so that no other Ray is in reach.
"""

import subprocess

import pytest
import yaml

from lrray.results.run import read_record
from tests.cluster.hosts import PATIENCE_S, Network, missing, wait_until

pytestmark = pytest.mark.cluster

CELLS = """
import time
from pathlib import Path

def gated(i, gate):
    while i > 0 and not Path(gate).exists():
        time.sleep(0.2)
    if i == 3:
        raise RuntimeError("three is not allowed")
    return {"square": float(i * i)}
"""
ADDRESS = ("--address", "10.78.0.2:8265")


class Server:
    """A head whose job server listens to the network, and a laptop."""

    def __init__(self, network):
        self.laptop, self.head = network["laptop"], network["head"]
        self.results, self.gate = network.shared / "results", network.shared / "gate"
        folder = self.laptop.home / "study"
        folder.mkdir()
        (folder / "cells.py").write_text(CELLS)
        (folder / "results").mkdir()
        (folder / "results" / "large").write_bytes(bytes(2**20))
        for name, stop in (("good", 3), ("bad", 4)):
            study = {
                "kind": "function", "question": f"Is {name} told?", "hypothesis": "It is.",
                "function": "cells:gated", "settings": {"gate": str(self.gate)},
                "grid": {"settings.i": {"start": 0, "stop": stop}},
            }  # fmt: skip
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(study))

    def start(self):
        self.head.run("ray", "get-auth-token", "--generate")
        token = self.head.home / ".ray" / "auth_token"
        wait_until(self._started, "Ray on the head")
        return token

    def _started(self):
        """On a busy machine Ray gives up after its fixed 30 seconds."""
        settings = ["RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0"]
        self.head.run("ray", "stop", "--force")  # sees this host's processes alone
        said = self.head.run(
            "env", *settings, "ray", "start", "--head", "--port=6379", "--dashboard-host=0.0.0.0",
            "--num-cpus=2", check=False,
        )  # fmt: skip
        return "Ray runtime started" in said

    def lrray(self, *words, check=True, environment=()):
        return self.laptop.run(
            "env", "-C", "/tmp/home/study", *environment, "lrray", *words, *ADDRESS, check=check
        )

    def submit(self, study, *words):
        """Submits without following; returns the job's id."""
        output = self.lrray("submit", study, "--detach", "--out", str(self.results), *words)
        return output.split()[1]

    def follow(self, job, timeout_s=PATIENCE_S):
        command = self.laptop.command("env", "-C", "/tmp/home/study", "lrray", "follow", job)
        done = subprocess.run(
            [*command, *ADDRESS], capture_output=True, text=True, timeout=timeout_s, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def state(self, job):
        lines = [line.split() for line in self.lrray("status").splitlines()]
        return next(line[1:] for line in lines if line and line[0] == job)


@pytest.fixture(scope="module")
def server():
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Network(laptop="10.78.0.1", head="10.78.0.2") as network:
        server = Server(network)
        token = server.start()
        said = server.lrray("status", check=False)
        assert "Ray refuses the token: Authentication required" in said
        assert "(fix: put the cluster's ~/.ray/auth_token here" in said
        wrong = server.lrray("status", check=False, environment=["RAY_AUTH_TOKEN=" + "0" * 64])
        assert "Ray refuses the token: Authentication failed" in wrong
        place = server.laptop.home / ".ray"
        place.mkdir()
        (place / "auth_token").write_bytes(token.read_bytes())
        yield server


def test_nothing_submitted_is_said(server):
    assert "no study was submitted there" in server.lrray("follow", check=False)


def test_a_stopped_study_is_resumed_and_fetched_while_it_runs(server):
    job = server.submit("good.yaml")
    wait_until(lambda: list(server.results.glob("good/*/cells/*.json")), "the first cell")
    state = wait_until(lambda: "of 3" in " ".join(server.state(job)) and server.state(job), "cells")
    assert state[0] == "running"
    assert state[2:4] == ["of", "3"]
    assert str(server.results / "good") in state[-1]

    assert "results/good/" in server.lrray("fetch", job)
    home = server.laptop.home / "study" / "results"
    assert len(list(home.glob("good/*/cells/*.json"))) == 1

    assert server.lrray("stop", job).split() == ["stopped", job]
    wait_until(lambda: server.state(job)[0] == "stopped", "the job to stop")
    code, output = server.follow(job)
    assert code == 1
    assert "The job has stopped." in output

    again = server.submit("good.yaml", "--resume")
    server.gate.touch()
    code, output = server.follow(again)
    assert code == 0, output
    assert "3 of 3 cells done" in output
    runs = list(server.results.glob("good/*"))
    assert len(runs) == 1, "resuming makes no new run"
    server.lrray("fetch")  # the newest
    records = [read_record(path) for path in home.glob("good/*/cells/*.json")]
    assert sorted(record.result["square"] for record in records) == [0.0, 1.0, 4.0]
    assert next(home.glob("good/*/report.html")).stat().st_size
    assert not next(home.glob("good/*")).joinpath("checkpoints").exists()


def test_a_failing_study_ends_with_its_reason_and_code_1(server):
    server.gate.touch()
    words = ["lrray", "submit", "bad.yaml", "--out", str(server.results), *ADDRESS]
    done = subprocess.run(
        server.laptop.command("env", "-C", "/tmp/home/study", *words),
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "1 cell failed" in done.stdout
    assert "The job has failed." in done.stdout


def test_jobs_that_are_gone_are_named(server):
    said = server.lrray("fetch", "good-19990101-000000-aaaa", check=False)
    assert said.count("\n") == 1
    assert "no such job" in said


def test_an_address_of_another_service_is_told(server):
    said = server.laptop.run("lrray", "status", "--address", "10.78.0.2:6379", check=False)
    assert said.count("\n") == 1
    assert "is no job server of Ray's" in said


def test_questions_do_not_pile_up(server):
    server.lrray("status")
    server.lrray("status")
    listed = server.laptop.run(
        "env", "RAY_AUTH_MODE=token", "ray", "job", "list", "--address", "http://10.78.0.2:8265"
    )
    assert listed.count("submission_id='lrray-question-") <= 2
