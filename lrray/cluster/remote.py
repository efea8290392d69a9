"""What runs on the head for ``lrray status`` and ``lrray fetch``.

``python -m lrray.cluster.remote runs OUT`` prints JSON: job id -> its run's folder and status.
``… pack JOB OUT`` prints the run's folder as an archive in text, with its checksum.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from lrray.config import load_yaml
from lrray.errors import LrrayError

ANSWER = "lrray's answer:"
"""The line before the answer: what comes earlier is Ray's."""
END = "that was lrray's answer."
"""The line after it: Ray may have more to say."""
MAX_BYTES = 256 * 2**20
"""Archives larger than this do not go through a job's output."""
MAX_UNPACKED_BYTES = 16 * MAX_BYTES
"""An archive that unpacks to more is not taken: it may be made to fill the disk."""
LEFT_OUT = ("checkpoints",)
"""Large, and of use only where cells go on."""
_LINE = 3 * 2**14


def runs(out: Path) -> dict[str, dict[str, Any]]:
    """Job id -> run, for every run that a job of this cluster wrote to ``out``."""
    found = {}
    for path in sorted(out.glob("*/*/provenance.json")):
        job = (_read(path) or {}).get("job")
        if job:
            found[str(job)] = {
                "folder": str(path.parent.resolve()),
                "status": _read(path.with_name("status.json")),
                "storage": _storage(path.with_name("study.yaml")),
                "ended": path.with_name("summary.json").exists(),
            }
    return found


def _storage(study: Path) -> str | None:
    """Address of the bucket that a run's study names; a path is the nodes' own."""
    try:
        address = str(load_yaml(study).get("storage"))
    except LrrayError:
        return None
    return address if "://" in address else None


def pack(folder: Path) -> str:
    """A run's folder as lines of base64, the last one the archive's SHA-256.

    Raises:
        LrrayError: it is too large for this way.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if inside.parts[0] in LEFT_OUT or path.name.startswith(".") or not path.is_file():
                continue
            with suppress(FileNotFoundError):  # the study runs on
                content = path.read_bytes()
                entry = tarfile.TarInfo(f"{folder.parent.name}/{folder.name}/{inside}")
                entry.size, entry.mtime = len(content), int(path.stat().st_mtime)
                archive.addfile(entry, io.BytesIO(content))
    data = buffer.getvalue()
    if len(data) > MAX_BYTES:
        raise LrrayError(
            str(folder), f"{len(data) >> 20} MiB packed, at most {MAX_BYTES >> 20} go this way",
            fix="use --cluster FILE, or copy the folder with rsync or kubectl cp",
        )  # fmt: skip
    lines = [
        base64.b64encode(data[start : start + _LINE]).decode()
        for start in range(0, len(data), _LINE)
    ]
    return "\n".join([*lines, hashlib.sha256(data).hexdigest()])


def unpack(text: str, target: Path, run: str) -> None:
    """Writes what :func:`pack` printed of ``run`` (``STUDY/RUN``) below ``target``, nothing else.

    Raises:
        LrrayError: it did not arrive whole, unpacks to too much, or holds anything but plain files
            of the run.
    """
    *lines, checksum = text.split()
    data = b"".join(map(base64.b64decode, lines))
    if hashlib.sha256(data).hexdigest() != checksum:
        raise LrrayError("", "the results did not arrive whole", fix="give the command again")
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        size = sum(member.size for member in members)
        strange = next((m.name for m in members if not _is_plain_file_of(run, m)), None)
        if strange is not None or size > MAX_UNPACKED_BYTES:
            what = f"{size >> 20} MiB" if strange is None else f"no file of this run: {strange!r}"
            raise LrrayError(run, f"the cluster sent {what}", fix="fetch it with --cluster FILE")
        archive.extractall(target, members, filter="data")


def _is_plain_file_of(run: str, member: tarfile.TarInfo) -> bool:
    parts = PurePosixPath(member.name).parts
    return member.isreg() and ".." not in parts and "/".join(parts[:2]) == run


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def main(words: list[str]) -> None:
    """Answers one question on stdout."""
    *question, out = words
    found = runs(Path(out))
    try:
        answer = (
            json.dumps(found) if question == ["runs"] else pack(Path(found[question[1]]["folder"]))
        )
    except LrrayError as error:
        sys.exit(str(error))
    print(ANSWER, answer, END, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
