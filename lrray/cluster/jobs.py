"""Studies as jobs of a cluster: the driver runs there, so it outlives the machine it came from."""

from __future__ import annotations

import json
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrray.cluster.connection import Connection
from lrray.cluster.remote import ANSWER, END
from lrray.errors import LrrayError, did_you_mean

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

DEFAULT_OUT = "~/lrray-results"
JOB_VARIABLE = "LRRAY_JOB"
"""Environment variable of the driver; ``provenance.json`` notes it, so a job's run is found."""
_QUESTION = "lrray-question-"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_EXCLUDES = ["/results", "/wandb", ".mypy_cache", ".ruff_cache", ".pytest_cache"]
_STOP_S = 60
"""How long a job that is to stop may take; Ray's own 3 s are too little for checkpoints."""
_LOOK_S = 1.0
_SLEEP_PATIENCE_S = 600.0
"""How long the network may be away while a job is followed; a sleeping laptop's clock stands."""


@dataclass(frozen=True)
class StudyJob:
    """What is to run on the cluster."""

    name: str
    """The study as the user named it, and its settings to change."""
    overrides: Sequence[str]
    title: str
    """The study's name in the results folder."""
    out: str
    """Results folder on the cluster; every node must see it."""
    resume: bool
    retry_failed: bool
    keep_code: bool = False

    def entrypoint(self) -> str:
        """The shell command of the job."""
        words = ["python", "-m", "lrray.study", self.name, *self.overrides, "--address", "auto"]
        words += ["--resume"] * self.resume + ["--retry-failed"] * self.retry_failed
        words += ["--keep-code"] * self.keep_code
        return f"{shlex.join(words)} --out {_shell_path(self.out)}"


def submit(connection: Connection, job: StudyJob, folder: Path) -> str:
    """Ships a folder and starts a study in it; returns the job's id.

    Raises:
        LrrayError: the folder is too large, or the cluster does not take the job.
    """
    import requests
    from ray.exceptions import AuthenticationError

    job_id = f"{job.title}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        return connection.client().submit_job(
            entrypoint=job.entrypoint(),
            submission_id=job_id,
            metadata={"lrray": "study", "study": job.title, "out": job.out},
            runtime_env=surroundings(job_id, folder),
        )
    except ValueError as error:
        if "exceeds the maximum size" not in str(error):
            raise
        raise LrrayError(
            str(folder), str(error).split(". ")[0],
            fix="name large folders in .gitignore or .rayignore: what these name is not shipped",
        ) from None  # fmt: skip
    except (RuntimeError, AuthenticationError, requests.RequestException) as error:
        raise LrrayError(
            connection.words, f"does not take the job: {str(error).splitlines()[0]}",
            fix="see 'ray status' on its head",
        ) from None  # fmt: skip


def surroundings(job_id: str, folder: Path) -> dict[str, Any]:
    """Files and environment of a job's driver, as Ray's ``runtime_env``."""
    variables = {JOB_VARIABLE: job_id, "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_S)}
    return {"working_dir": str(folder), "excludes": _EXCLUDES, "env_vars": variables}


def check_folder(folder: Path) -> None:
    """Refuses to ship a home or the whole disk.

    Raises:
        LrrayError: the folder is one of those.
    """
    if folder in (Path.home(), Path(folder.anchor)):
        raise LrrayError(
            str(folder), "the working folder is shipped whole, and this one is no study's",
            fix="go to the folder that holds the study and what it uses",
        )  # fmt: skip


def shipped_name(name: str, file: Path, folder: Path) -> str:
    """How a study is named where its folder was shipped to.

    Raises:
        LrrayError: its file lies outside the folder and does not come with lrray.
    """
    from lrray.studies.load import shipped_folder

    file = file.resolve()
    if file.is_relative_to(folder):
        return str(file.relative_to(folder))
    if file.is_relative_to(shipped_folder("studies").resolve()):
        return name
    raise LrrayError(
        name, f"is not in {folder}, the folder that is shipped",
        fix="go to a folder that holds the study and the files it names",
    )  # fmt: skip


def follow(connection: Connection, job_id: str, show: Callable[[str], None]) -> str:
    """Shows a job's output until it ends; returns how it ended.

    The output so far is asked for again and again, so nothing is lost where the network was away.
    """
    shown, wait_s = 0, _LOOK_S
    while True:
        state, text = connection.again(lambda client: _look(client, job_id), _SLEEP_PATIENCE_S)
        if len(text) > shown:
            show(text[shown:])
        wait_s = _LOOK_S if len(text) > shown else min(1.5 * wait_s, 10.0)
        shown = len(text)
        if state in ENDED:
            return state
        time.sleep(wait_s)


def _look(client: JobSubmissionClient, job_id: str) -> tuple[str, str]:
    state = client.get_job_status(job_id).value  # before the output, which then is whole
    return state, "" if state == "PENDING" else client.get_job_logs(job_id)


def failure(connection: Connection, job_id: str) -> str:
    """Why a job failed, in Ray's words."""
    info = connection.again(lambda client: client.get_job_info(job_id), _SLEEP_PATIENCE_S)
    return str(info.message or "").strip().split("\n")[0]


def study_jobs(connection: Connection) -> list[JobDetails]:
    """All jobs that run studies, the newest first."""
    jobs = connection.client().list_jobs()
    ours = [job for job in jobs if (job.metadata or {}).get("lrray") == "study"]
    return sorted(ours, key=lambda job: -(job.start_time or 0))


def find_job(connection: Connection, job_id: str | None) -> JobDetails:
    """A job by its id, or the newest.

    Raises:
        LrrayError: there is none.
    """
    jobs = study_jobs(connection)
    if not jobs:
        raise LrrayError(
            connection.words, "no study was submitted there",
            fix=f"lrray submit STUDY {connection.words}",
        )  # fmt: skip
    ids = [str(job.submission_id) for job in jobs]
    if job_id is None:
        return jobs[0]
    if job_id not in ids:
        raise LrrayError(job_id, "no such job", fix=did_you_mean(job_id, ids))
    return jobs[ids.index(job_id)]


def ask(connection: Connection, *words: str, out: str) -> str:
    """Runs ``python -m lrray.cluster.remote`` on the head; returns its answer.

    Raises:
        LrrayError: it failed.
    """
    client = connection.client()
    _forget_questions(client)
    command = shlex.join(["python", "-m", "lrray.cluster.remote", *words])
    job_id = client.submit_job(
        entrypoint=f"{command} {_shell_path(out)}",
        submission_id=f"{_QUESTION}{secrets.token_hex(4)}",
    )
    output: list[str] = []
    state = follow(connection, job_id, output.append)
    # Ray's own lines come before and after.
    text, _, rest = "".join(output).partition(f"{ANSWER}\n")
    answer, ended, _ = rest.partition(END)
    if state != "SUCCEEDED" or not ended:
        last = ((rest or text).strip().splitlines() or ["it said nothing"])[-1]
        raise LrrayError(
            connection.words, f"could not look into {out}: {last}",
            fix="check that lrray is installed on the head",
        )  # fmt: skip
    return answer


def _forget_questions(client: JobSubmissionClient) -> None:
    """Deletes earlier ones. One that has just ended cannot be: Ray still writes about it."""
    for job in client.list_jobs():
        name = job.submission_id or ""
        if name.startswith(_QUESTION) and job.status.value in ENDED:
            with suppress(RuntimeError):  # somebody else did
                client.delete_job(name)


def _shell_path(path: str) -> str:
    """A path quoted for a shell, which still puts the home in place of ``~``."""
    if path == "~" or path.startswith("~/"):
        return '"$HOME"' + shlex.quote(path[1:])
    return shlex.quote(path)


def runs_of(connection: Connection, out: str) -> dict[str, dict[str, Any]]:
    """Job id -> its run's ``folder`` and ``status``, for all runs in a results folder."""
    found: dict[str, dict[str, Any]] = json.loads(ask(connection, "runs", out=out))
    return found
