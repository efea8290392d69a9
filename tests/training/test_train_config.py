"""Settings and learning-rate schedules."""

import subprocess
import sys

import pytest

from lrray.config import parse
from lrray.errors import LrrayError
from lrray.training import TrainConfig
from lrray.training.schedule import learning_rate


def test_reading_settings_loads_no_torch():
    code = "import sys, lrray.training, lrray.models; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tokens_round_up_to_whole_steps():
    assert TrainConfig(tokens=1000, batch_size=2, seq_len=100).num_steps == 5
    assert TrainConfig(tokens=1001, batch_size=2, seq_len=100).num_steps == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "train.yaml: steps: exactly one of steps and tokens must be given"),
        ({"steps": 5, "tokens": 5}, "exactly one of steps and tokens must be given"),
        ({"steps": 5, "warmup_steps": 6}, "warmup_steps: must be at most the number of steps, 5"),
        ({"steps": 5, "schedule": "cosin"}, "did you mean 'cosine'"),
        ({"steps": 5, "lerning_rate": 1}, "did you mean 'learning_rate'"),
        ({"steps": 0}, "steps: must be greater than or equal to 1, but got 0"),
        ({"steps": 5, "betas": [0.9, 1.0]}, r"betas\[1\]: must be less than 1"),
    ],
)
def test_mistakes_are_one_line(settings, message):
    with pytest.raises(LrrayError, match=message) as caught:
        parse(TrainConfig, settings, "train.yaml")
    assert "\n" not in str(caught.value)


def rates(**keys):
    config = TrainConfig(steps=10, learning_rate=1.0, **keys)
    return [learning_rate(config, step) for step in range(10)]


def test_constant_stays_after_the_warm_up():
    assert rates(warmup_steps=4) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1])


def test_linear_falls_in_a_line_to_the_least_rate():
    assert rates(schedule="linear") == pytest.approx([1 - 0.1 * step for step in range(10)])
    assert rates(schedule="linear", min_lr_ratio=0.5)[5] == pytest.approx(0.75)


def test_cosine_is_half_way_in_the_middle():
    values = rates(schedule="cosine", warmup_steps=2)
    assert values[2] == pytest.approx(1)
    assert values[6] == pytest.approx(0.5)
    assert values == sorted(values[:2]) + sorted(values[2:], reverse=True)


def test_wsd_stays_and_falls_at_the_end():
    values = rates(schedule="wsd", warmup_steps=2, decay_share=0.4)
    assert values == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_warm_up_over_the_whole_run_is_no_division_by_zero():
    for schedule in ("constant", "linear", "cosine", "wsd"):
        assert rates(schedule=schedule, warmup_steps=10)[-1] == pytest.approx(1)
