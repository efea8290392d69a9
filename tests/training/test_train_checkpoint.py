"""Checkpoints: whole or absent, checked when read, only the last ones kept."""

import json

import pytest
import torch
from safetensors.torch import save_file

from lrray.errors import LrrayError
from lrray.training.checkpoint import Checkpoint, CheckpointFolder, load_checkpoint
from lrray.training.loop import train
from lrray.training.saved import SavedTensors


def checkpoint(step):
    weight = torch.full((2, 3), float(step))
    return Checkpoint(step, {"weight": weight}, {"exp_avg.weight": weight + 1}, {"note": "here"})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_read_back(tmp_path):
    path = CheckpointFolder(tmp_path, keep_last=2).save(checkpoint(7))
    read = load_checkpoint(path)
    assert (read.step, read.state["note"]) == (7, "here")
    assert torch.equal(read.model["weight"], torch.full((2, 3), 7.0))
    assert torch.equal(read.optimizer["exp_avg.weight"], torch.full((2, 3), 8.0))


@pytest.mark.parametrize("cuts", [[4], [2, 4], [2, 2, 4], [3, 3, 3, 3, 4]])
def test_parts_make_up_the_whole_and_any_rows_of_it(tmp_path, cuts):
    split, scalar = torch.arange(12.0).reshape(4, 3), torch.tensor(5.0)
    paths, start = [], 0
    for number, stop in enumerate(cuts, start=1):
        path = tmp_path / f"model.{number}-of-{len(cuts)}.safetensors"
        part = {"split": split[start:stop]} | ({"scalar": scalar} if number == 1 else {})
        save_file(part, path)
        paths, start = [path, *paths], stop
    saved = SavedTensors(paths)
    assert set(saved) == {"split", "scalar"}
    assert (saved.shape("split"), saved.shape("scalar")) == ((4, 3), ())
    assert torch.equal(saved["split"], split)
    assert torch.equal(saved["scalar"], scalar)
    for low in range(5):
        for high in range(low, 5):
            assert torch.equal(saved.rows("split", low, high), split[low:high])


def test_a_missing_part_is_noticed(tmp_path):
    save_file({"split": torch.ones(2)}, tmp_path / "model.2-of-2.safetensors")
    with pytest.raises(ValueError, match="parts are missing"):
        SavedTensors([tmp_path / "model.2-of-2.safetensors"])


def test_only_the_last_ones_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep_last=2)
    for step in (1, 2, 10):
        folder.save(checkpoint(step))
    assert names(tmp_path) == ["step_0000000002", "step_0000000010"]
    assert folder.load_newest().step == 10


def test_no_checkpoints_is_none(tmp_path):
    assert CheckpointFolder(tmp_path / "nothing", keep_last=1).load_newest() is None


def cut_weights(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])


def flip_a_bit(path):
    file = path / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def remove_state(path):
    (path / "state.json").unlink()


def cut_state(path):
    (path / "state.json").write_text('{"step": 2, "sha')


def strange_state(path):
    (path / "state.json").write_text(json.dumps([1, 2]))


@pytest.mark.parametrize(
    "damage", [cut_weights, flip_a_bit, remove_state, cut_state, strange_state]
)
def test_a_damaged_checkpoint_is_set_aside_and_the_previous_one_used(tmp_path, damage):
    folder = CheckpointFolder(tmp_path, keep_last=2)
    folder.save(checkpoint(1))
    damage(folder.save(checkpoint(2)))
    assert folder.load_newest().step == 1
    assert names(tmp_path)[0].startswith("damaged_step_0000000002_")
    assert names(tmp_path)[1:] == ["step_0000000001"]


def test_a_damaged_checkpoint_asked_for_by_name_is_one_line(tmp_path):
    path = CheckpointFolder(tmp_path, keep_last=1).save(checkpoint(1))
    cut_weights(path)
    with pytest.raises(LrrayError, match=r"is damaged: model\.safetensors does not match"):
        load_checkpoint(path)


def test_a_half_written_folder_is_no_checkpoint(tmp_path):
    (tmp_path / ".step_0000000009.abc.partial").mkdir()
    assert CheckpointFolder(tmp_path, keep_last=1).load_newest() is None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    folder = CheckpointFolder(tmp_path / "file", keep_last=1)
    with pytest.raises(LrrayError, match="a checkpoint cannot be written"):
        folder.save(checkpoint(1))


def test_a_run_goes_on_from_the_last_sound_checkpoint(tmp_path, gssm, make_model, make_config):
    whole, again = [], []
    config = make_config(steps=9, checkpoint_every=3, keep_last=3)
    train(make_model(), gssm, config, run_dir=tmp_path, report=whole.append)
    flip_a_bit(tmp_path / "checkpoints" / "step_0000000009")
    train(make_model(), gssm, config, run_dir=tmp_path, report=again.append)
    steps = {r["step"]: r["train_loss_bits"] for r in whole if "train_loss_bits" in r}
    resumed = {r["step"]: r["train_loss_bits"] for r in again if "train_loss_bits" in r}
    assert resumed == {step: steps[step] for step in (7, 8, 9)}
