"""Studies of kind train: settings, errors before any work, data files, workers, resuming."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import pytest

from lrray.config import dump_yaml, load_yaml
from lrray.errors import LrrayError
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.gssm import GSSM
from lrray.kinds.train.data import needed_data, task
from lrray.kinds.train.kind import Study, _compressed, check
from lrray.results.folder import RunFolder
from lrray.results.record import DONE
from lrray.studies.cell import Cell
from lrray.studies.grid import GridPoint, expand
from lrray.studies.load import list_studies, load_study, read_study
from lrray.training import TrainConfig
from lrray.training.heldout import make_heldout
from tests.studies.small_study import environment, run

GRAPH: dict[str, Any] = {
    "nodes": [
        {"name": "Z1", "state_dim": 2, "parents": ["X"]},
        {"name": "X", "state_dim": 4, "parents": ["Z1"], "observed": True},
    ]
}
PAIRS: dict[str, Any] = {
    "graph": GRAPH,
    "pairs": [
        {"name": "easy_to_infer", "alpha_X": 0.1, "alpha_Z": 1.0},
        {"name": "easy_to_predict", "alpha_X": 1.0, "alpha_Z": 0.1},
    ],
}
TINY: dict[str, Any] = {
    "kind": "train",
    "question": "Which is learnt better?",
    "hypothesis": "One of them.",
    "pairs": "pairs.yaml",
    "grid": {"pair": ["easy_to_infer", "easy_to_predict"]},
    "model": {"type": "mingru", "hidden_size": 8, "num_hidden_layers": 1},
    "train": {"steps": 20, "batch_size": 4, "seq_len": 16, "eval_sequences": 8,
              "checkpoint_every": 5},
}  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "pairs.yaml").write_text(dump_yaml(PAIRS))
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_yaml(TINY))
    return path


def checked(name: str | Path, *overrides: str) -> list[GridPoint]:
    """What the command does before it starts Ray."""
    data, path = read_study(str(name), overrides)
    points = expand(data, Study, str(path))
    check([point.study for point in points], str(path), path.parent / "results/tiny/data")
    return points


def over_sizes(*sizes: int) -> str:
    """An override that makes the number of training sequences an axis."""
    axes = {**TINY["grid"], "train.num_train_sequences": list(sizes)}
    return f"grid={json.dumps(axes)}"


def training_studies() -> list[tuple[str, str]]:
    found = {name: load_yaml(path) for name, path in list_studies().items()}
    return [
        (name, scale)
        for name, data in found.items() if data.get("kind") == "train"
        for scale in data["scales"]
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "scale"), training_studies())
def test_every_shipped_training_study_is_sound(name: str, scale: str) -> None:
    # The registered rates come from an earlier run.
    rate = ["train.learning_rate=0.004"] if (name, scale) == ("latents", "registered") else []
    points = checked(name, f"scale={scale}", *rate)
    pairs = {point.study.pair for point in points if point.study.pairs}
    assert not pairs or {"easy_to_infer", "easy_to_predict"} <= pairs
    assert all(len(point.study.question) > 20 for point in points)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pairs=nowhere.yaml", "names 'nowhere.yaml', which is not there"),
        ("pair_set=other", "pair_set: must name one of pairs, but got 'other'"),
        ("grid.pair=[easy]", "must name a pair of the pairs file, but got 'easy'"),
        ("graph=other.yaml", "graph: must be the graph of the pairs file, alphas aside"),
        ("resources.workers=3", "train.batch_size: must be divisible by resources.workers, 3"),
        ("train.device=cuda", "resources.gpu: device cuda needs resources.gpu above 0"),
        ("model.hidden=8", "model: unknown key 'hidden'"),
        (
            "model={type: llama, hidden_size: 8, max_position_embeddings: 8}",
            "model.max_position_embeddings: must be at least the context length of the data, 16",
        ),
    ],
)
def test_a_mistake_is_one_line_before_any_work(study: Path, override: str, message: str) -> None:
    other = {"nodes": [{**GRAPH["nodes"][0], "state_dim": 3}, GRAPH["nodes"][1]]}
    (study.parent / "other.yaml").write_text(dump_yaml(other))
    with pytest.raises(LrrayError) as caught:
        checked(study, override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(study))


def test_shards_that_may_stand_on_several_nodes_go_to_no_storage(study: Path) -> None:
    storage = f"storage={study.parent / 'storage'}"
    sharded = (storage, "train.parallel=fsdp")
    with pytest.raises(LrrayError, match=r"storage: takes no sharded checkpoints of CPU workers"):
        checked(study, *sharded, "resources.workers=2")
    assert len(checked(study, *sharded)) == 2
    assert len(checked(study, *sharded, "resources={workers: 2, gpu: 1}")) == 2
    assert len(checked(study, storage, "resources.workers=2")) == 2


def test_alphas_are_no_part_of_the_graph_that_pairs_must_have(study: Path) -> None:
    nodes = [{**node, "alpha": 0.5} for node in GRAPH["nodes"]]
    (study.parent / "same.yaml").write_text(dump_yaml({"nodes": nodes}))
    assert len(checked(study, "graph=same.yaml")) == 2


def per_seed(**more: Any) -> dict[str, Any]:
    """A pairs file with each pair for the kernel draws 0, 1 and 2, more easily told apart."""
    pairs = [
        {**pair, "alpha_X": pair["alpha_X"] * (1 + seed / 10), "seed": seed}
        for seed in range(3) for pair in PAIRS["pairs"]
    ]  # fmt: skip
    return {**PAIRS, "pairs": pairs, **more}


def test_each_seed_takes_the_pair_matched_for_its_own_kernel_draw(study: Path) -> None:
    (study.parent / "pairs.yaml").write_text(dump_yaml(per_seed()))
    points = checked(study, "grid={pair: [easy_to_infer], seed: [2, 0, 1]}")
    cells = [point.study.cell_settings() for point in points]
    assert [cell["graph_seed"] for cell in cells] == [2, 0, 1]
    assert [cell["graph"]["nodes"][1]["alpha"] for cell in cells] == pytest.approx(
        [0.12, 0.1, 0.11]
    )
    (fixed,) = checked(study, "grid={pair: [easy_to_infer]}", "seed=7", "graph_seed=1")
    assert fixed.study.cell_settings()["graph"]["nodes"][1]["alpha"] == pytest.approx(0.11)
    with pytest.raises(LrrayError, match=r"seed: must be a kernel draw .* got 7 .*one of 0, 1, 2"):
        checked(study, "seed=7")


def test_a_pair_that_a_file_holds_for_several_graphs_is_of_the_graph_asked_for(
    study: Path,
) -> None:
    other = {"nodes": [{**GRAPH["nodes"][0], "state_dim": 3}, GRAPH["nodes"][1]]}
    (study.parent / "other.yaml").write_text(dump_yaml(other))
    both = [{**pair, "graph": graph} for graph in (GRAPH, other) for pair in PAIRS["pairs"]]
    (study.parent / "pairs.yaml").write_text(dump_yaml({"pairs": both}))
    with pytest.raises(LrrayError, match=r"pair: must name one pair, but 2 .*whose by graph:"):
        checked(study)
    points = checked(study, "graph=other.yaml")
    assert [p.study.cell_settings()["graph"]["nodes"][0]["state_dim"] for p in points] == [3, 3]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"pairs": PAIRS["pairs"] * 2, "graph": GRAPH}, "2 of the pairs file have this name"),
        ({"pairs": PAIRS["pairs"]}, "pairs.given.pairs[0]: needs a graph"),
    ],
)
def test_a_pairs_file_that_leaves_a_choice_open_is_refused(
    study: Path, pairs: dict[str, Any], message: str
) -> None:
    (study.parent / "pairs.yaml").write_text(dump_yaml(pairs))
    with pytest.raises(LrrayError) as caught:
        checked(study)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_pairs_files_make_an_axis_and_the_cells_know_only_their_own(study: Path) -> None:
    words = ["pairs={a: pairs.yaml, b: pairs.yaml}", "grid.pair_set=[a, b]"]
    cells = [point.study.cell_settings() for point in checked(study, *words)]
    assert len(cells) == 4
    assert cells[0] == cells[1]
    alone = [point.study.cell_settings() for point in checked(study)]
    assert cells[::2] == alone


@pytest.mark.parametrize("name", ["latents_on_average", "finite_data", "architectures"])
def test_one_file_of_own_pairs_takes_the_place_of_the_shipped_sets(study: Path, name: str) -> None:
    own = f"pairs={study.parent / 'pairs.yaml'}"
    points, shipped = checked(name, "scale=small", own), checked(name, "scale=small")
    assert not any("pair_set" in point.axes for point in points)
    assert {len(point.study.pairs) for point in points} == {1}
    assert len(points) == len(shipped) // len({point.axes["pair_set"] for point in shipped})


def test_clipping_that_is_switched_off_is_off_in_the_cell_and_in_the_record(study: Path) -> None:
    """Nulls are left out of settings; this one would be read back as the default."""
    (point, _) = checked(study, "train.max_grad_norm=null")
    _, config = task(point.study.cell_settings())
    assert config.max_grad_norm is None
    written = load_study(str(study), ["train.max_grad_norm=null"]).resolved()
    assert written["train"]["max_grad_norm"] is None
    _, clipped = task(checked(study)[0].study.cell_settings())
    assert clipped.max_grad_norm == 1.0


def test_a_graph_with_alphas_needs_no_pairs(study: Path) -> None:
    (study.parent / "graph.yaml").write_text(dump_yaml(GRAPH))
    words = ["pairs={}", "graph=graph.yaml", "alpha_Z=0.2"]
    axes = "grid={alpha_X: [0.1, 0.5]}"
    points = checked(study, *words, axes)
    alphas = [
        [node["alpha"] for node in point.study.cell_settings()["graph"]["nodes"]]
        for point in points
    ]
    assert alphas == [[0.2, 0.1], [0.2, 0.5]]
    for given, said in (
        (["pairs={}", "grid={seed: [0]}"], "pairs: must be given, or graph, alpha_X and alpha_Z"),
        ([*words, "grid={seed: [0]}"], "alpha_X: must be given where there are no pairs"),
        (["alpha_X=0.1"], "alpha_X: must be left out where pairs give it"),
        (["switch={latent: Z7, at: 4}"], "switch.latent: must name a latent, but got 'Z7'"),
        (["switch={latent: Z1, at: 16}"], "switch.at: must be a step of the sequence, 1 to 15"),
        (["switch={latent: Z1, at: 4}", "surrogate=1"], "switch: needs a cell of one worker"),
    ):
        with pytest.raises(LrrayError, match=re.escape(said)):
            checked(study, *given)


def test_a_switch_and_a_margin_leave_other_cells_as_they_are(study: Path) -> None:
    plain = checked(study)[0].study.cell_settings()
    assert checked(study, "equivalence_margin_bits=0.1")[0].study.cell_settings() == plain
    switched = checked(study, "switch={latent: Z1, at: 4}")[0].study.cell_settings()
    assert switched == {**plain, "switch": {"latent": "Z1", "at": 4}}


def test_one_data_file_serves_every_smaller_number_of_sequences(study: Path) -> None:
    words = [over_sizes(8, 32, 16), "grid.seed=[0, 1]"]
    needed = needed_data([point.study.cell_settings() for point in checked(study, *words)])
    assert [one.num_sequences for one in needed] == [32] * 4


def test_data_files_are_written_once_and_grown_and_mended(study: Path, tmp_path: Path) -> None:
    small, large = (
        needed_data([checked(study, f"train.num_train_sequences={n}")[0].study.cell_settings()])[0]
        for n in (8, 16)
    )
    assert small.path(tmp_path) == large.path(tmp_path)
    assert small.make(tmp_path)
    assert not small.make(tmp_path)
    assert large.make(tmp_path)
    assert not small.make(tmp_path)
    path = large.path(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert large.make(tmp_path)
    with h5py.File(path) as file:
        assert file["tokens"].shape == (16, 16)


@pytest.mark.parametrize(
    ("harm", "message"), [("truncate", "cannot be read"), ("vocabulary", "vocab_size: must be 4")]
)
def test_a_bad_data_file_stops_the_study_before_any_work(
    study: Path, harm: str, message: str
) -> None:
    words = ["train.num_train_sequences=8"]
    needed = needed_data([checked(study, *words)[0].study.cell_settings()])[0]
    folder = study.parent / "results/tiny/data"
    needed.make(folder)
    path = needed.path(folder)
    if harm == "truncate":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        with h5py.File(path, "a") as file:
            file.attrs["vocab_size"] = 8
    with pytest.raises(LrrayError, match=message):
        checked(study, *words)


def make_cell(study: Path, *overrides: str) -> Cell:
    return Cell("train", checked(study, *overrides)[0].study.cell_settings(), {}, "code")


def numbers(record: dict[str, Any] | None) -> dict[str, Any]:
    assert record is not None
    assert record.state == DONE, record
    return {k: v for k, v in record.result.items() if k != "tokens_per_s"}


def test_a_cell_reads_the_data_file_made_ahead_else_makes_its_own(study: Path) -> None:
    cell = make_cell(study, "train.num_train_sequences=8")
    alone = RunFolder.create(study.parent / "alone", "tiny")
    ahead = RunFolder.create(study.parent / "ahead", "tiny")
    needed_data([cell.settings])[0].make(ahead.path.parent / "data")
    results = [numbers(run_durably(cell, folder, Limits())) for folder in (alone, ahead)]
    assert results[0] == results[1]
    assert len(list((alone.path / "shared/data").glob("*.h5"))) == 1
    assert not (ahead.path / "shared/data").exists()


def test_a_study_may_train_on_surrogates_beside_the_graph(study: Path) -> None:
    axes = json.dumps({"surrogate": [None, 0, 2]})
    points = checked(study, f"grid={axes}", "train.num_train_sequences=8")
    settings = [point.study.cell_settings() for point in points]
    assert [own.get("surrogate", "none") for own in settings] == ["none", 0, 2]
    assert len({data.path(Path()) for data in needed_data(settings)}) == 3
    folder = RunFolder.create(study.parent / "run", "tiny")
    results = [
        numbers(run_durably(Cell("train", own, {}, "code"), folder, Limits())) for own in settings
    ]
    assert len({result["loss_bits"] for result in results}) == 3
    graph, unigrams, trigrams = results
    assert unigrams["bound_bits"] == pytest.approx(unigrams["unigram_bits"])
    assert trigrams["bound_bits"] == pytest.approx(trigrams["trigram_bits"])
    assert graph["bound_bits"] < graph["unigram_bits"] - 0.01


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ({"mode": "context"}, "surrogate: a graph with context nodes has no surrogate"),
        ({"state_dim": 600}, r"surrogate: a surrogate's table must .*, but got '600\*\*3"),
        ({"state_dim": 60_000}, r"surrogate: contexts x joint states .*, but got '60000\*\*2"),
    ],
)
def test_a_surrogate_that_cannot_be_made_is_refused_before_any_work(
    study: Path, token: dict[str, Any], message: str
) -> None:
    pairs = load_yaml(study.parent / "pairs.yaml")
    pairs["graph"]["nodes"][1] |= token
    (study.parent / "pairs.yaml").write_text(dump_yaml(pairs))
    checked(study)
    with pytest.raises(LrrayError, match=rf"tiny\.yaml: {message}"):
        checked(study, "surrogate=2")


def test_compressors_need_the_held_out_tokens_but_no_exact_bound() -> None:
    names = [f"Z{i}" for i in range(1, 14)]
    nodes = [{"name": name, "state_dim": 4, "alpha": 0.1} for name in names]
    token = {"name": "X", "state_dim": 4, "alpha": 0.1, "parents": ["Z1"], "observed": True}
    gssm = GSSM.from_config({"nodes": [*nodes, token]}, seed=0)
    config = TrainConfig(steps=1, seq_len=64, eval_sequences=8)
    with pytest.raises(LrrayError, match="the exact likelihood must fit in"):
        make_heldout(gssm, config.eval_sequences, config.seq_len)
    assert 0 < _compressed(gssm, config, ["zlib"])["zlib_bits"] < 16


_WORKER = """
import sys
from pathlib import Path
from lrray.config import load_yaml
from lrray.execution.attempts import Limits
from lrray.execution.worker import run_durably
from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell
import torch
torch.set_num_threads(1)
run_durably(Cell(**load_yaml(sys.argv[1])), RunFolder(Path(sys.argv[2])), Limits())
"""


def worker(arguments: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _WORKER, *map(str, arguments)]
    return subprocess.Popen(words, env=environment())


@pytest.mark.slow
def test_a_killed_cell_goes_on_to_the_same_last_bit(study: Path) -> None:
    cell = make_cell(study, "train.steps=400", "train.checkpoint_every=20")
    written = study.parent / "cell.yaml"
    written.write_text(dump_yaml(cell.to_dict()))
    whole, killed = (RunFolder.create(study.parent / name, "tiny") for name in ("a", "b"))
    assert worker([written, whole.path]).wait(300) == 0
    process = worker([written, killed.path])
    checkpoints = killed.path / "checkpoints" / cell.id / "checkpoints"
    deadline = time.monotonic() + 300
    while not list(checkpoints.glob("step_*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert killed.load_cell(cell.id) is None
    assert worker([written, killed.path]).wait(300) == 0
    assert numbers(killed.load_cell(cell.id)) == numbers(whole.load_cell(cell.id))


@pytest.mark.slow
def test_two_workers_give_what_one_gives(study: Path) -> None:
    for workers in (1, 2):
        words = ["resources.cpu=0.5", f"resources.workers={workers}", "--out", f"out{workers}"]
        words.append("pair=easy_to_infer")
        ended = run(study.parent, study, *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    one, two = (
        {record.id: numbers(record) for record in RunFolder(folder).cells()}
        for folder in (next((study.parent / f"out{n}/tiny").iterdir()) for n in (1, 2))
    )
    assert set(one) == set(two)
    for cell_id in one:
        assert one[cell_id] == pytest.approx(two[cell_id], abs=1e-4)


@pytest.mark.slow
def test_data_make_writes_files_that_the_run_then_reads(study: Path) -> None:
    words = [over_sizes(8, 16)]
    lrray = [sys.executable, "-c", "from lrray.cli.app import main; main()"]
    make = [*lrray, "data", "make", str(study), *words]
    for said in ("2 files written, 0 were there", "0 files written, 2 were there"):
        ended = subprocess.run(
            make, cwd=study.parent, env=environment(), capture_output=True, text=True, timeout=600
        )
        assert said in ended.stdout, ended.stdout + ended.stderr
    assert run(study.parent, study, *words).returncode == 0
    runs = [path.parent for path in (study.parent / "results/tiny").glob("*/study.yaml")]
    assert len(runs) == 1
    assert not (runs[0] / "shared/data").exists()


@pytest.mark.slow
def test_data_make_tells_what_a_worker_found_in_one_line(study: Path) -> None:
    words = ["train.num_train_sequences=8"]
    needed = needed_data([checked(study, *words)[0].study.cell_settings()])[0]
    folder = study.parent / "results/tiny/data"
    needed.make(folder)
    with h5py.File(needed.path(folder), "a") as file:
        file.attrs["vocab_size"] = 8
    lrray = [sys.executable, "-c", "from lrray.cli.app import main; main()"]
    ended = subprocess.run(
        [*lrray, "data", "make", str(study), *words], cwd=study.parent, env=environment(),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "vocab_size: must be 4 for this run, but got 8" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_infinite_data_need_no_files_and_a_missing_gpu_is_one_line(study: Path) -> None:
    lrray = [sys.executable, "-c", "from lrray.cli.app import main; main()"]
    ended = subprocess.run(
        [*lrray, "data", "make", str(study)], cwd=study.parent, env=environment(),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "needs no data files: its data are infinite" in ended.stderr
    ended = run(study.parent, study, "resources.gpu=64", "train.device=cuda")
    assert ended.returncode == 2
    assert "a cell needs 1 x 1 CPU and 64 GPU" in ended.stderr


def test_cells_of_mamba_alone_are_others_since_its_rates_do_not_decay(study: Path) -> None:
    def settings(*overrides: str) -> dict[str, Any]:
        return checked(study, *overrides)[0].study.cell_settings()

    assert "not_decayed" not in settings()
    mamba = "model={type: mamba, hidden_size: 8, num_hidden_layers: 1}"
    assert settings(mamba)["not_decayed"] == ["A_log"]
    assert "not_decayed" not in settings(mamba, "train.weight_decay=0")
