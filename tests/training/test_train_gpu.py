"""The same runs on a GPU, where there is one: close to the CPU's, in either direction."""

import pytest
import torch

from lrray.training.loop import train

DEVICE = "cuda"

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")


@pytest.fixture
def losses(gssm, make_model, make_config):
    """Training losses of a run, step by step, and the loss at its end."""

    def run(run_dir=None, stop_at=None, type_="llama", **keys):
        reports = []
        config = make_config(steps=8, learning_rate=0.01, **keys)
        ended = train(
            make_model(type=type_), gssm, config, run_dir=run_dir, report=reports.append,
            should_stop=lambda: bool(reports) and reports[-1]["step"] == stop_at,
        )  # fmt: skip
        found = [r["train_loss_bits"] for r in reports if "train_loss_bits" in r]
        return found, ended.evaluation and ended.evaluation.loss_bits

    return run


@pytest.mark.parametrize("type_", ["llama", "mamba2", "recurrent_gemma", "mingru", "lstm"])
def test_a_gpu_trains_as_a_cpu_does(losses, type_):
    here, there = (
        losses(type_=type_, device=device, precision="float32") for device in ("cpu", DEVICE)
    )
    assert there[0] == pytest.approx(here[0], rel=1e-3)
    assert there[1] == pytest.approx(here[1], rel=1e-3)


def test_a_gpu_computes_in_bf16_unless_told_otherwise(losses):
    rough = losses(device=DEVICE)[1]
    exact = losses(device=DEVICE, precision="float32")[1]
    assert rough == pytest.approx(exact, rel=0.02)
    assert (rough != exact) == torch.cuda.is_bf16_supported()


@pytest.mark.parametrize(("first", "then"), [(DEVICE, DEVICE), (DEVICE, "cpu"), ("cpu", DEVICE)])
def test_a_run_goes_on_from_a_checkpoint_on_either_device(tmp_path, losses, first, then):
    whole = losses(device=first, precision="float32")[0]
    begun = losses(tmp_path, stop_at=4, device=first, precision="float32")[0]
    ended = losses(tmp_path, device=then, precision="float32")[0]
    assert (len(begun), len(ended)) == (4, 4)
    assert begun + ended == pytest.approx(whole, rel=1e-3)
