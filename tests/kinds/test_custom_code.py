"""Models and compressors of the user's own in studies: checked, trained, part of a cell."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lrray.config import dump_yaml, parse
from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.kinds.difficulty.cell import objective as difficulty_objective
from lrray.kinds.difficulty.settings import DifficultyStudy
from lrray.kinds.train.data import task
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.results.folder import RunFolder
from lrray.results.record import DONE
from lrray.search.objective import objective
from lrray.studies.cell import make_cell
from lrray.studies.code import read_code_anew
from lrray.training.distributed import join_workers
from lrray.training.evaluate import evaluate
from lrray.training.heldout import make_heldout
from lrray.training.loop import train
from lrray.training.weights import load_trained
from tests.kinds.test_training_kind import PAIRS, TINY, checked
from tests.studies.small_study import STUDY

torch.set_num_threads(1)

MODEL = """
from layers import SCALE
from torch import nn


class GRULM(nn.Module):
    def __init__(self, vocab_size, hidden_size, num_hidden_layers=1, both_ways=False):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.gru = nn.GRU(
            hidden_size, hidden_size, num_hidden_layers, batch_first=True, bidirectional=both_ways
        )
        self.head = nn.Linear(2 * hidden_size if both_ways else hidden_size, vocab_size)

    def forward(self, tokens):
        return SCALE * self.head(self.gru(self.embedding(tokens))[0])


class Wide(GRULM):
    def forward(self, tokens):
        return super().forward(tokens).transpose(1, 2)
"""
SIZES = "def count(data):\n    return len(data)\n"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A training study of a model and a compressor in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "gru_lm.py").write_text(MODEL)
    (tmp_path / "layers.py").write_text("SCALE = 1.0\n")
    (tmp_path / "sizes.py").write_text(SIZES)
    (tmp_path / "pairs.yaml").write_text(dump_yaml(PAIRS))
    path = tmp_path / "own.yaml"
    model = {"type": "gru_lm:GRULM", "hidden_size": 8}
    path.write_text(dump_yaml({**TINY, "model": model, "compressors": ["sizes:count", "zlib"]}))
    yield path
    read_code_anew()
    for name in ("gru_lm", "layers", "sizes"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.type=gru_lm:GRULN", "model.type: gru_lm.py must define GRULN"),
        ("model.type=gru_ml:GRULM", "model.type: there is no module gru_ml, but got"),
        ("model.width=8", "model: gru_lm:GRULM takes no 'width'"),
        ("model={type: gru_lm:GRULM}", "model: gru_lm:GRULM needs 'hidden_size'"),
        ("model.both_ways=true", "model.type: gru_lm:GRULM: must be causal, but the logits at pos"),
        (
            "model.type=gru_lm:Wide",
            "model.type: gru_lm:Wide: must return logits [B, T, V], [3, 16, 4] for tokens [3, 16], "
            "but got [3, 4, 16]",
        ),
        ("compressors=[sizes:cuont]", "compressors[0]: sizes.py must define cuont"),
        ("compressors=[zlib, bz3]", "compressors[1]: unknown compressor, but got 'bz3'"),
    ],
)
def test_a_mistake_in_ones_own_code_is_one_line_before_any_work(
    study: Path, override: str, message: str
) -> None:
    with pytest.raises(LrrayError) as caught:
        checked(study, override)
    assert str(caught.value).startswith(f"{study}: {message}")
    assert "\n" not in str(caught.value)


def test_a_cell_trains_the_model_and_its_checkpoint_gives_the_weights_back(study: Path) -> None:
    point = checked(study)[0]
    cell = make_cell(point.study, point.axes)
    folder = RunFolder.create(study.parent / "out", "own")
    record = run_durably(cell, folder, Limits())
    assert record is not None
    assert record.state == DONE, record
    result: dict[str, Any] = dict(record.result)
    gru = 2 * 3 * (8 * 8 + 8)
    assert result["num_parameters"] == 4 * 8 + gru + 4 * 8 + 4
    assert result["num_non_embedding_parameters"] == gru + 4
    assert result["count_bits"] == 8
    assert {"zlib_bits", "excess_bits", "flops_per_token"} <= set(result)

    gssm, config = task(cell.settings)
    own = parse(ModelConfig, cell.settings["model"], "model")
    fresh = build_model(own, gssm.vocab_size, config.seq_len, config.model_seed)
    [*_, newest] = sorted(folder.path.glob(f"checkpoints/{cell.id}/checkpoints/step_*"))
    heldout = make_heldout(gssm, config.eval_sequences, config.seq_len)
    untrained = evaluate(fresh, heldout, join_workers("cpu"), batch_size=8).loss_bits
    load_trained(fresh, newest)
    trained = evaluate(fresh, heldout, join_workers("cpu"), batch_size=8).loss_bits
    assert untrained > trained == pytest.approx(result["loss_bits"], abs=1e-6)


def test_a_model_of_ones_own_resumes_to_the_same_last_bit(study: Path, tmp_path: Path) -> None:
    point = checked(study)[0]
    gssm, config = task(point.study.cell_settings())

    def loss(steps: int, name: str) -> float:
        asked = config.model_copy(update={"steps": steps})
        model = build_model(point.study.model, gssm.vocab_size, asked.seq_len, asked.model_seed)
        evaluation = train(model, gssm, asked, run_dir=tmp_path / name).evaluation
        assert evaluation is not None
        return evaluation.loss_bits

    halfway = loss(10, "resumed")
    assert halfway != loss(20, "resumed") == loss(20, "whole")


@pytest.mark.parametrize(
    ("name", "old", "new", "same"),
    [
        ("gru_lm.py", "(tokens))[0])", "(tokens))[0] * 1.5)", False),
        ("layers.py", "1.0", "1.5", False),
        ("sizes.py", "len(data)", "2 * len(data)", False),
        ("gru_lm.py", "\n\nclass Wide", "\n\n# One that is refused.\nclass Wide", True),
    ],
)
def test_changed_code_of_ones_own_makes_another_cell_and_a_comment_does_not(
    study: Path, name: str, old: str, new: str, same: bool
) -> None:
    def id_now() -> str:
        read_code_anew()
        point = checked(study)[0]
        return make_cell(point.study, point.axes).id

    before = id_now()
    text = (study.parent / name).read_text()
    (study.parent / name).write_text(text.replace(old, new, 1))
    assert (id_now() == before) is same


def test_a_compressor_of_ones_own_is_part_of_a_difficulty_cell_and_a_shipped_one_is_not(
    study: Path,
) -> None:
    def id_with(*compressors: str) -> str:
        read_code_anew()
        asked = parse(DifficultyStudy, {**STUDY, "compressors": list(compressors)}, "study")
        return difficulty_objective(asked).cell({"alpha_X": 0.1, "alpha_Z": 0.1}).id

    own, shipped = id_with("sizes:count"), id_with("bz2")
    (study.parent / "sizes.py").write_text(SIZES.replace("len(data)", "len(data) + 1"))
    assert id_with("sizes:count") != own
    assert id_with("bz2") == shipped


def test_a_search_passes_the_keys_that_it_proposes_and_no_defaults(study: Path) -> None:
    space = {"model.hidden_size": {"distribution": "int_uniform", "low": 4, "high": 16}}
    words = (
        f"search_space={dump_yaml(space)}",
        "search={metric: excess_bits, num_trials: 2}",
        "grid={pair: [easy_to_infer]}",
    )
    text = study.read_text()
    study.write_text(text.replace("  hidden_size: 8\n", ""))  # the search gives what it needs
    assert study.read_text() != text
    [point] = checked(study, *words)
    cell = objective(point.study, point.axes).cell({"model.hidden_size": 12})
    assert cell.settings["model"] == {"type": "gru_lm:GRULM", "hidden_size": 12}
