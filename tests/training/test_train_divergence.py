"""What is not finite is told with its step, and never saved."""

import math

import pytest
import torch
from torch import nn

from lrray.training.checkpoint import CheckpointFolder
from lrray.training.errors import TrainingDiverged
from lrray.training.loop import train


class BreaksTheLoss(nn.Module):
    """Logits of NaN at the fourth call."""

    def __init__(self, model):
        super().__init__()
        self.model, self.calls = model, 0

    def forward(self, tokens):
        self.calls += 1
        return self.model(tokens) * (math.nan if self.calls == 4 else 1)


class BreaksTheGradient(nn.Module):
    """A sound loss with a gradient of NaN, at the third call."""

    def __init__(self, model):
        super().__init__()
        self.model, self.calls = model, 0
        self.zero = nn.Parameter(torch.zeros(()))

    def forward(self, tokens):
        logits = self.model(tokens)
        self.calls += self.training
        return logits + (self.zero * 0).sqrt() if self.calls == 3 else logits


def saved_steps(run_dir):
    return sorted(int(path.name[5:]) for path in (run_dir / "checkpoints").glob("step_*"))


def test_a_loss_that_is_not_finite_names_its_step(gssm, make_model, make_config):
    config = make_config(steps=10, log_every=5)
    with pytest.raises(TrainingDiverged, match="step 4: the training loss must be finite") as e:
        train(BreaksTheLoss(make_model()), gssm, config)
    assert e.value.step == 4
    assert math.isnan(e.value.value)


def test_a_learning_rate_far_too_high_diverges_with_advice(gssm, make_model, make_config):
    config = make_config(steps=200, learning_rate=1e30, max_grad_norm=None)
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        train(make_model(), gssm, config)


@pytest.mark.parametrize("log_every", [3, 10])
@pytest.mark.parametrize(
    ("max_grad_norm", "message"),
    [(1.0, "step 3: the gradient norm"), (None, "step 3: the weights after the update")],
)
def test_no_checkpoint_holds_what_a_broken_gradient_made(
    tmp_path, gssm, make_model, make_config, max_grad_norm, message, log_every
):
    config = make_config(
        steps=20, log_every=log_every, checkpoint_every=1, max_grad_norm=max_grad_norm
    )
    with pytest.raises(TrainingDiverged, match=message):
        train(BreaksTheGradient(make_model()), gssm, config, run_dir=tmp_path)
    assert saved_steps(tmp_path) == [1, 2]
    saved = CheckpointFolder(tmp_path / "checkpoints", 2).load_newest()
    assert all(saved.model[name].isfinite().all() for name in saved.model)


@pytest.mark.parametrize("max_grad_norm", [1.0, None])
def test_a_run_that_is_stopped_does_not_save_broken_weights(
    tmp_path, gssm, make_model, make_config, max_grad_norm
):
    config = make_config(steps=20, log_every=20, max_grad_norm=max_grad_norm)
    model = BreaksTheGradient(make_model())
    with pytest.raises(TrainingDiverged, match="step 3"):
        train(model, gssm, config, run_dir=tmp_path, should_stop=lambda: model.calls == 3)
    assert saved_steps(tmp_path) == []


def test_an_evaluation_that_is_not_finite_is_no_result(gssm, make_model, make_config):
    config = make_config(steps=1, learning_rate=1e38, max_grad_norm=None)
    with pytest.raises(TrainingDiverged, match="step 1: the held-out loss must be finite"):
        train(make_model(), gssm, config)
