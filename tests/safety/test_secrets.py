"""No secret of the environment reaches a results folder, the terminal or Ray's logs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import textwrap
from pathlib import Path

import pytest

from lrray.config import dump_yaml
from tests.studies.small_study import command, environment

SECRETS = {
    "WANDB_API_KEY": "5ecde7aa" * 5,
    "HF_TOKEN": "hf_5ecdetSecretSecretSecretSecret5e",
    "AWS_ACCESS_KEY_ID": "AKIA5ECDE75ECDE75ECD",
    "AWS_SECRET_ACCESS_KEY": "5ecdet/Secret+Secret/Secret+Secret5ecdet",
    "AWS_SESSION_TOKEN": "5ecdet-session-token-5ecdet",
    "LRRAY_TEST_PASSWORD": "5ecdet-password-of-mine",
}
MODULE = """
    import sys

    def measure(rate, seed, context):
        for step in range(3):
            context.log({"step": step, "loss": rate / (step + 1)})
        print("a line of the cell's own", file=sys.stderr)
        if rate > 0.5:
            raise ValueError("this cell fails")
        return {"loss": rate}
"""
STUDY = {
    "kind": "function",
    "question": "Which rate is best?",
    "hypothesis": "None.",
    "function": "secret_cells:measure",
    "grid": {"settings.rate": [0.1, 0.9], "seed": [0]},
    "tracking": {"wandb": {"mode": "offline"}, "tensorboard": True},
    "resources": {"max_failures": 0},
}


@pytest.fixture
def short_folder():
    """A folder whose name is short: Ray's sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="lr-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def holding(folder: Path) -> dict[str, str]:
    """File -> the secret that it holds, as it is or inside binary data."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            for name, secret in SECRETS.items():
                if secret.encode() in content:
                    found[str(path.relative_to(folder))] = name
    return found


@pytest.mark.slow
def test_a_tracked_study_with_a_failing_cell_keeps_every_secret(tmp_path, short_folder):
    (tmp_path / "secret_cells.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "rates.yaml").write_text(dump_yaml(STUDY))
    clean = {k: v for k, v in environment().items() if not k.startswith("WANDB_")}
    given = {**clean, **SECRETS, "RAY_TMPDIR": str(short_folder), "HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        command("rates.yaml"), cwd=tmp_path, env=given, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        shown, _ = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1, shown
    assert "this cell fails" in shown
    [run] = (tmp_path / "results" / "rates").iterdir()
    written = {path.relative_to(run).parts[0] for path in run.rglob("*") if path.is_file()}
    assert {"cells", "failures", "metrics", "wandb", "tensorboard", "provenance.json"} <= written
    assert list(run.rglob("*.wandb"))
    assert not [name for name, secret in SECRETS.items() if secret in shown]
    assert holding(run) == {}
    logs = short_folder / f"lrr-{os.getuid()}" / "ray"
    assert list(logs.rglob("*.log")), "Ray's logs were to be searched"
    assert holding(logs) == {}


def test_the_search_finds_a_secret_where_there_is_one(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.bin").write_bytes(b"\0\1" + SECRETS["HF_TOKEN"].encode() + b"\2")
    assert holding(tmp_path) == {"a/b.bin": "HF_TOKEN"}
