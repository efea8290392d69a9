"""A disk without room is one line that says so, and leaves nothing half written."""

import gc
import resource

import pytest
import torch

from lrray.errors import DiskFullError, LrrayError, cannot_write
from lrray.training.checkpoint import Checkpoint, CheckpointFolder
from lrray.training.dataset import write_dataset
from lrray.training.heldout import make_heldout


@pytest.fixture
def no_room():
    """Files of this process cannot grow beyond 100 kB: the system refuses as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("what", ["a checkpoint", "the data file", "the exact bound"])
def test_no_room_for_a_file_is_told_in_one_line(tmp_path, gssm, what):
    weight = torch.zeros(300, 300)
    write = {
        "a checkpoint": lambda: CheckpointFolder(tmp_path, 2).save(
            Checkpoint(1, {"weight": weight}, {"exp_avg.weight": weight}, {})
        ),
        "the data file": lambda: write_dataset(tmp_path / "data.h5", gssm, 10_000, 16),
        "the exact bound": lambda: make_heldout(gssm, 1000, 16, tmp_path),
    }[what]
    with pytest.raises(DiskFullError, match=f"{what} cannot be written: .*free some space") as told:
        write()
    assert "\n" not in str(told.value)
    assert isinstance(told.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []
    gc.collect()  # HDF5's objects of a failed file crash the process here


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError("[Errno 28] cannot write (errno = 28, error message = 'No space left')"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (PermissionError(13, "Permission denied"), False),
        (RuntimeError("no number"), False),
    ],
)
def test_a_full_disk_is_told_from_other_failures(tmp_path, error, is_full):
    told = cannot_write(tmp_path, "a checkpoint", error)
    assert isinstance(told, LrrayError)
    assert isinstance(told, DiskFullError) == is_full


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, gssm):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LrrayError, match="the data file cannot be written") as told:
        write_dataset(tmp_path / "file" / "data.h5", gssm, 8, 16)
    assert not isinstance(told.value, DiskFullError)
