"""Ray's files, token and ports on a machine where others work too."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lrray.errors import LrrayError
from lrray.execution.ray_files import private_folder, private_token
from tests.disk import small_disk
from tests.studies.small_study import environment

NOBODY = 65534
DRIVER = """
import sys
from lrray.execution.cluster import start_ray
start_ray("local")
import ray
ray.get(ray.remote(lambda: print("what a cell says")).remote())
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shared_base() -> Iterator[Path]:
    """A folder that everyone may enter, as /tmp is, with a short name, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def no_folder_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def as_nobody(*command: str | Path) -> str:
    """What another user of the machine sees."""
    done = subprocess.run(
        list(map(str, command)), user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which root alone may")
def test_another_user_reads_nothing_of_rays_and_reaches_it_from_no_other_machine(
    shared_base: Path,
) -> None:
    home = shared_base / "home"
    home.mkdir(mode=0o755)
    given = {"HOME": str(home), "RAY_TMPDIR": str(shared_base)}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], env={**environment(), **given},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as driver:  # fmt: skip
        assert driver.stdout is not None
        assert driver.stdout.readline() == "up\n"
        token = home / ".ray" / "auth_token"
        (session,) = shared_base.glob("lrr-*/ray/session_2*")
        assert list(session.glob("sockets/raylet"))
        assert list(session.glob("logs/worker-*.out"))
        (shared_base / "seen").write_text("by everyone")
        family = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
        ports = [c for one in family for c in one.net_connections("inet") if c.status == "LISTEN"]
        seen = as_nobody("find", shared_base, "-type", "f", "-readable").splitlines()
        as_nobody("mv", session / "sockets" / "raylet", session / "sockets" / "theirs")
        moved = not (session / "sockets" / "raylet").exists()
        driver.communicate("")
    assert seen == [str(shared_base / "seen")]
    assert not moved
    assert mode(token) == 0o600
    assert len(ports) > 5
    assert {c.laddr.ip.removeprefix("::ffff:") for c in ports} == {"127.0.0.1"}


def test_a_folder_too_long_for_sockets_is_passed_over(
    shared_base: Path, monkeypatch: pytest.MonkeyPatch, no_folder_given: None
) -> None:
    long = shared_base / ("x" * 100)
    monkeypatch.setenv("TMPDIR", str(long))
    assert private_folder().parent.parent == Path("/tmp")
    assert not long.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_full_and_read_only_folders_are_passed_over(
    shared_base: Path, monkeypatch: pytest.MonkeyPatch, no_folder_given: None
) -> None:
    for name, options in (("full", "size=64k"), ("fixed", "ro")):
        place = shared_base / name
        with small_disk(place, options) as is_mounted:
            if not is_mounted:
                pytest.skip("may mount nothing here")
            monkeypatch.setenv("TMPDIR", str(place))
            assert private_folder().parent.parent == Path("/tmp")


def test_a_folder_that_waits_under_our_name_is_not_trusted(
    shared_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(shared_base))
    theirs = shared_base / "theirs"
    theirs.mkdir()
    (shared_base / f"lrr-{os.geteuid()}").symlink_to(theirs)
    own = private_folder().parent
    assert own.parent == shared_base
    assert mode(own) == 0o700
    assert not list(theirs.iterdir())


def test_an_open_folder_of_our_own_is_closed(
    shared_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(shared_base))
    (shared_base / f"lrr-{os.geteuid()}").mkdir(mode=0o777)
    assert mode(private_folder().parent) == 0o700


def test_where_no_folder_is_fit_one_line_says_what_is_wrong_with_each(
    monkeypatch: pytest.MonkeyPatch, shared_base: Path
) -> None:
    file = shared_base / "file"
    file.touch()
    monkeypatch.setattr(
        "lrray.execution.ray_files._candidates", lambda: [file, shared_base / ("y" * 90)]
    )
    with pytest.raises(LrrayError) as caught:
        private_folder()
    line = str(caught.value)
    assert line.startswith(f"TMPDIR: no folder is fit for Ray's files: {file}: ")
    assert "too long for the sockets in it (fix: set RAY_TMPDIR to a folder with room" in line
    assert "\n" not in line


def test_sessions_of_dead_processes_are_removed_and_living_ones_are_not(
    shared_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(shared_base))
    folder = private_folder()
    for name in ("session_2026-01-01_dead", "session_2026-01-01_living"):
        (folder / name / "logs").mkdir(parents=True)
        (folder / name / "logs" / "gcs.out").touch()
    two_hours_ago = (time.time() - 7200,) * 2
    for path in (folder / "session_2026-01-01_dead" / "logs" / "gcs.out",
                 folder / "session_2026-01-01_dead", *folder.iterdir()):  # fmt: skip
        os.utime(path, two_hours_ago)
    assert private_folder() == folder
    assert [path.name for path in folder.iterdir()] == ["session_2026-01-01_living"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_an_old_token_is_kept_and_closed(home: Path) -> None:
    token = home / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("old")
    token.chmod(0o644)
    private_token(home)
    assert (token.read_text(), mode(token)) == ("old", 0o600)


def test_without_a_home_the_token_lies_in_the_private_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ray").write_text("a file where a folder should be")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")  # so that it is restored
    private_token(tmp_path)
    path = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert path == tmp_path / "auth_token"
    assert (len(path.read_text()), mode(path)) == (64, 0o600)


def test_what_a_user_says_about_tokens_holds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    private_token(home)
    assert list(home.iterdir()) == []
