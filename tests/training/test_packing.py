"""Runs that step side by side give what each gives alone, and part when one ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from lrray.errors import LrrayError
from lrray.gssm import GSSM
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.training import TrainConfig
from lrray.training.learner import Learner
from lrray.training.loop import MakeLearner, train
from lrray.training.packing import Pack
from lrray.training.stack import check_stacks
from tests.training.conftest import GRAPH

MODEL = {"type": "llama", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@dataclass
class Member:
    """One run: seeds, settings, and what it left."""

    seed: int
    train: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=lambda: dict(MODEL))
    folder: Path | None = None
    stop_after: int | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    error: BaseException | None = None

    def run(self, make_learner: MakeLearner = Learner) -> None:
        config = TrainConfig.model_validate({
            "steps": 12, "batch_size": 8, "seq_len": 16, "device": "cpu", "log_every": 1,
            "eval_every": 5, "eval_sequences": 8, "learning_rate": 3e-3, "schedule": "cosine",
            "data_seed": self.seed, "model_seed": self.seed, **self.train,
        })  # fmt: skip
        model = build_model(ModelConfig.model_validate(self.model), 4, 16, self.seed)
        train(
            model, GSSM.from_config(GRAPH, seed=self.seed), config, run_dir=self.folder,
            report=self.reports.append, make_learner=make_learner,
            should_stop=lambda: len(self.losses) == self.stop_after,
        )  # fmt: skip
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @property
    def losses(self) -> list[float]:
        return [r["train_loss_bits"] for r in self.reports if "train_loss_bits" in r]

    @property
    def excesses(self) -> list[float]:
        return [r["excess_bits"] for r in self.reports if "excess_bits" in r]


def run_packed(members: Sequence[Member]) -> None:
    pack = Pack(len(members))

    def run(member: Member) -> None:
        try:
            with pack.member():
                member.run(pack.learner)
        except BaseException as error:
            member.error = error

    threads = [threading.Thread(target=run, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def same(packed: Member, alone: Member, tolerance: float = 1e-4) -> None:
    """Reports and weights differ by float32's noise over a dozen steps alone."""
    assert packed.error is None
    assert len(packed.losses) == len(alone.losses)
    assert packed.losses == pytest.approx(alone.losses, rel=tolerance)
    assert packed.excesses == pytest.approx(alone.excesses, rel=10 * tolerance, abs=tolerance)
    for name, weight in alone.weights.items():
        torch.testing.assert_close(packed.weights[name], weight, rtol=0, atol=10 * tolerance)


def pairs(make: Callable[[], list[Member]]) -> list[tuple[Member, Member]]:
    """The members packed, and each alone."""
    packed, alone = make(), make()
    run_packed(packed)
    for member in alone:
        member.run()
    return list(zip(packed, alone, strict=True))


@pytest.mark.parametrize(
    ("model", "train"),
    [
        (MODEL, {}),
        (MODEL, {"micro_batch_size": 3, "max_grad_norm": 0.05}),
        ({**MODEL, "tie_word_embeddings": True}, {"max_grad_norm": None, "weight_decay": 0.3}),
        ({**MODEL, "type": "gpt2"}, {"betas": [0.8, 0.9]}),
        ({"type": "mingru", "hidden_size": 8, "num_hidden_layers": 2}, {}),
        ({"type": "minlstm", "hidden_size": 8, "num_hidden_layers": 1}, {}),
    ],
)
def test_packed_runs_give_what_each_gives_alone(model: dict, train: dict) -> None:
    rates = [1e-3, 3e-3, 1e-2]
    for packed, alone in pairs(
        lambda: [Member(s, {**train, "learning_rate": rates[s]}, model) for s in range(3)]
    ):
        same(packed, alone)
        assert alone.losses[0] != alone.losses[-1]


def test_in_bf16_they_differ_by_its_noise_alone() -> None:
    for packed, alone in pairs(lambda: [Member(s, {"precision": "bf16"}) for s in range(2)]):
        same(packed, alone, tolerance=5e-3)


def test_a_run_that_ends_early_leaves_the_others_to_theirs() -> None:
    for packed, alone in pairs(lambda: [Member(s, {"steps": 4 + 3 * s}) for s in range(3)]):
        same(packed, alone)


def test_a_run_that_diverges_takes_no_other_with_it() -> None:
    packed = [Member(0), Member(1, {"learning_rate": 1e30, "schedule": "constant"}), Member(2)]
    run_packed(packed)
    assert "must be finite" in str(packed[1].error)
    for member in (packed[0], packed[2]):
        alone = Member(member.seed)
        alone.run()
        same(member, alone)


@pytest.mark.parametrize("first_packed", [True, False])
def test_a_stopped_run_goes_on_packed_or_alone(tmp_path: Path, first_packed: bool) -> None:
    def part(first: bool) -> list[Member]:
        members = [
            Member(s, folder=tmp_path / str(s), stop_after=4 + s if first else None)
            for s in range(2)
        ]  # fmt: skip
        if first == first_packed:
            run_packed(members)
        else:
            for member in members:
                member.run()
        return members

    before, after = part(first=True), part(first=False)
    for seed in range(2):
        whole = Member(seed)
        whole.run()
        both = before[seed].losses + after[seed].losses
        assert len(before[seed].losses) == 4 + seed
        assert both == pytest.approx(whole.losses, rel=1e-4)
        same(after[seed], replace_losses(whole, 4 + seed))


def replace_losses(whole: Member, num_done: int) -> Member:
    """The part of a run that came after so many steps."""
    reports = [report for report in whole.reports if report["step"] > num_done]
    return Member(whole.seed, reports=reports, weights=whole.weights)


def test_an_error_of_the_common_step_reaches_every_member() -> None:
    members = [Member(0), Member(1, {"batch_size": 4})]  # which a pack's key keeps apart
    run_packed(members)
    assert all("stack expects each tensor to be equal size" in str(m.error) for m in members)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"type": "gru", "hidden_size": 8}, "Batching rule not implemented for aten::gru"),
        ({"type": "mingru", "hidden_size": 8, "dropout": 0.1}, "random operation"),
        ({"type": "recurrent_gemma", "hidden_size": 8}, "autograd.Function"),
    ],
)
def test_a_model_without_a_batched_form_is_refused_in_one_line(model: dict, reason: str) -> None:
    built = build_model(ModelConfig.model_validate({"num_hidden_layers": 1, **model}), 4, 16, 0)
    with pytest.raises(LrrayError) as caught:
        check_stacks(built, 4, 8)
    told = str(caught.value)
    assert told.startswith("resources.pack: this model cannot be trained side by side with others")
    assert reason in told
    assert "\n" not in told


class Counting(torch.nn.Module):
    """A model that counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.table(tokens)


class Idle(Counting):
    """A model with a weight that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = torch.nn.Parameter(torch.zeros(2))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.table(tokens)


@pytest.mark.parametrize(
    ("model", "reason"),
    [(Counting(), "it changes its buffer calls"), (Idle(), "parameters that are not trained")],
)
def test_a_model_of_ones_own_that_keeps_more_than_weights_is_refused(
    model: torch.nn.Module, reason: str
) -> None:
    with pytest.raises(LrrayError, match=reason):
        check_stacks(model, 4, 8)
