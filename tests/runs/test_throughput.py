"""Plans of GPU studies from what a device was measured to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.keep import keep
from lrray.config import dump_yaml
from lrray.errors import LrrayError
from lrray.kinds.train.work import work
from lrray.results.known import KnownCells
from lrray.runs import plan as planning
from lrray.runs.plan import plan
from lrray.runs.throughput import (
    Device,
    Throughput,
    device_here,
    estimate,
    largest_error,
    read,
    tokens_per_s,
)  # fmt: skip
from lrray.studies.grid import GridPoint
from lrray.studies.load import load_study
from lrray.studies.work import Work
from tests.kinds.test_training_kind import PAIRS, TINY

# Speed falls as FLOPs to the power -1/2 up to 10,000 a token, and as their inverse from there.
POINTS = [(100.0, 1000.0), (1e4, 100.0), (1e6, 1.0)]
SPEEDS = [{"flops_per_token": x, "tokens_per_s": y} for x, y in POINTS]
DEVICE = Device.model_validate({"name": "A", "measured": "today", "training": SPEEDS})


@pytest.mark.parametrize(
    ("flops", "speed"),
    [(100, 1000), (1e3, 1000 / 10**0.5), (1e4, 100), (1e5, 10), (1e6, 1), (10, 1e4), (1e8, 0.01)],
)
def test_speed_is_a_power_law_between_sizes_and_constant_flops_beyond(flops, speed) -> None:
    assert tokens_per_s(POINTS, flops) == pytest.approx(speed)


def test_one_size_tells_the_flops_per_second_alone() -> None:
    assert tokens_per_s(POINTS[:1], 50) == tokens_per_s(POINTS[:1], 100) * 2 == 2000
    assert largest_error(POINTS[:2]) is None


def test_the_error_is_that_of_leaving_a_size_out() -> None:
    # Without the middle one the law between the ends says 10^1.5 there, where 100 was measured.
    assert largest_error(POINTS) == pytest.approx(10**0.5 - 1)
    assert largest_error([(1, 8), (2, 4), (4, 2)]) == pytest.approx(0, abs=1e-12)


def test_an_estimate_says_what_it_comes_from() -> None:
    found = estimate(DEVICE, [Work(1000, 100), Work(500, 10_000)])
    assert found.seconds == pytest.approx(1 + 5)
    assert found.source == "throughput of 3 model sizes on A (today; within 216%)"


def points(folder: Path, *words: str) -> list[GridPoint]:
    (folder / "pairs.yaml").write_text(dump_yaml(PAIRS))
    (folder / "tiny.yaml").write_text(dump_yaml(TINY))
    return load_study(str(folder / "tiny.yaml"), ["resources.cell_minutes=7", *words]).points


def test_work_of_a_cell_is_its_tokens_at_the_cost_of_its_model(tmp_path: Path) -> None:
    small, large = (
        work(points(tmp_path, f"model.hidden_size={size}")[0].study.cell_settings())
        for size in (8, 64)
    )
    assert small.tokens == large.tokens == 20 * 4 * 16
    assert large.flops_per_token > 6 * 64**2 > small.flops_per_token


def test_a_plan_of_a_gpu_study_takes_measured_throughput_before_a_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "read", lambda: Throughput(devices=(DEVICE,)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # the first device is taken
    asked, known = points(tmp_path, "resources.gpu=1"), KnownCells.of(None)
    found = plan(asked, None, known)
    assert found.source.startswith("throughput of 3 model sizes on A")
    works = [work(point.study.cell_settings()) for point in asked]
    assert found.cell_seconds == pytest.approx(estimate(DEVICE, works).seconds)
    assert plan(points(tmp_path), None, known).source == "cell_minutes in the study"
    monkeypatch.setattr(planning, "read", Throughput)
    assert plan(asked, None, known).source == "cell_minutes in the study"


def test_the_shipped_file_is_sound_and_a_page_is_kept_in_it(tmp_path: Path) -> None:
    path = tmp_path / "throughput.yaml"
    path.write_text("# About it. No GPU has been measured so far.\ndevices: []\n")
    page = {"machine": {"device": "B", "torch": "2.11"}, "steps": {"training": {"rows": [
        {"name": "hidden 32 x 4 layers: speed", "value": 5.0, "note": "1,234 FLOPs a token"},
        {"name": "hidden 32 x 4 layers: compiled", "value": 9.0, "note": ""},
    ]}}}  # fmt: skip
    for _ in range(2):
        keep(json.loads(json.dumps(page)), path)
    (device,) = read(path).devices
    assert (device.name, device.training[0].flops_per_token) == ("B", 1234)
    assert path.read_text().startswith("# About it.\n")
    assert device_here(read()) is None or read().devices
    path.write_text("devices: [{name: B, measured: x, training: []}]")
    with pytest.raises(LrrayError, match="training"):
        read(path)
