"""A longer run goes on from the checkpoint of a shorter one, as if it had done all steps itself."""

import pytest

from lrray.errors import LrrayError
from lrray.training.branch import Branch
from lrray.training.loop import train
from lrray.training.schedule import learning_rate, num_shared_steps


def losses(reports):
    return {r["step"]: r["train_loss_bits"] for r in reports if "train_loss_bits" in r}


@pytest.mark.parametrize("schedule", ["constant", "wsd", "linear", "cosine"])
@pytest.mark.parametrize("warmup_steps", [0, 7])
def test_shared_steps_are_those_whose_learning_rate_is_a_longer_runs_too(
    make_config, schedule, warmup_steps
):
    short, long = (
        make_config(steps=n, schedule=schedule, warmup_steps=warmup_steps) for n in (10, 20)
    )
    shared = num_shared_steps(short)
    assert [learning_rate(short, i) for i in range(shared)] == [
        learning_rate(long, i) for i in range(shared)
    ]
    assert shared == {"constant": 10, "wsd": 8}.get(schedule, 0)
    assert num_shared_steps(long) >= shared
    if shared < 10:  # no step more
        assert learning_rate(short, 9) != learning_rate(long, 9)


@pytest.mark.parametrize(("schedule", "goes_on_from"), [("constant", 6), ("wsd", 4)])
def test_a_doubled_run_equals_one_that_did_all_steps_itself(
    tmp_path, gssm, make_model, make_config, schedule, goes_on_from
):
    keys = {"schedule": schedule, "decay_share": 0.25, "eval_every": 2}
    short, long = make_config(steps=6, **keys), make_config(steps=12, **keys)
    whole, continued = [], []
    alone = train(make_model(), gssm, long, report=whole.append)
    train(make_model(), gssm, short, run_dir=tmp_path / "a", branch=Branch(tmp_path / "b", True))
    begun = []
    doubled = train(
        make_model(), gssm, long, run_dir=tmp_path / "c", report=continued.append,
        branch=Branch(tmp_path / "b", False, begun.append),
    )  # fmt: skip
    assert begun == [goes_on_from]
    assert losses(continued) == {k: v for k, v in losses(whole).items() if k > goes_on_from}
    assert doubled.evaluation.metrics() == alone.evaluation.metrics()
    assert doubled.best == alone.best


def test_a_branch_is_no_place_for_runs_that_are_as_short_or_have_their_own_checkpoints(
    tmp_path, gssm, make_model, make_config
):
    branch = Branch(tmp_path / "b", True)
    train(make_model(), gssm, make_config(steps=6), branch=branch)
    begun = []
    looks = Branch(tmp_path / "b", False, begun.append)
    train(make_model(), gssm, make_config(steps=4), branch=looks)
    train(make_model(), gssm, make_config(steps=12, schedule="cosine"), branch=looks)
    assert begun == []
    own = tmp_path / "own"
    train(make_model(), gssm, make_config(steps=3), run_dir=own)
    train(make_model(), gssm, make_config(steps=12), run_dir=own, branch=looks)
    assert begun == []
    train(make_model(), gssm, make_config(steps=12), branch=looks)
    assert begun == [6]


def test_a_branch_of_other_settings_is_refused(tmp_path, gssm, make_model, make_config):
    train(make_model(), gssm, make_config(steps=6), branch=Branch(tmp_path, True))
    with pytest.raises(LrrayError, match=r"learning_rate: these checkpoints are of a run with"):
        train(
            make_model(), gssm, make_config(steps=12, learning_rate=0.5),
            branch=Branch(tmp_path, False),
        )  # fmt: skip
