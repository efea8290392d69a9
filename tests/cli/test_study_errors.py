"""What a user reads when a study file or the command line is wrong: one line, and nothing is done.

Each row is a slip and the line that the real command answers it with.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from lrray.cli.study import main
from tests.studies.small_study import write

Z1 = {"name": "Z1", "state_dim": 4, "parents": ["X"]}
Z2 = {"name": "Z2", "state_dim": 4}
X = {"name": "X", "state_dim": 8, "parents": ["Z1"], "observed": True}
RANGE = {"distribution": "log_uniform", "low": 0.01, "high": 1.0}


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The line that the command answers with; checks that it did nothing else."""
    monkeypatch.chdir(tmp_path)

    def answer(*words: str | Path) -> str:
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["study", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main()
        assert exit_.value.code == 2
        assert sorted(tmp_path.rglob("*")) == before
        output = capsys.readouterr()
        assert output.out == ""
        assert "Traceback" not in output.err
        return output.err.removesuffix("\n")

    return answer


def graph(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"graph": {"nodes": list(nodes)}}


def space(**alpha_X: Any) -> dict[str, Any]:
    return {"search_space": {"alpha_X": {**RANGE, **alpha_X}, "alpha_Z": RANGE}}


WRONG_SETTINGS = [
    ({"serach": {}}, "unknown key 'serach' (fix: did you mean 'search'?)"),
    ({"search": {"num_trails": 3}},
     "search: unknown key 'num_trails' (fix: did you mean 'num_trials'?)"),
    ({"kind": "dificulty"},
     "kind: must name a kind of study, but got 'dificulty' (fix: did you mean 'difficulty'?)"),
    ({"seq_len": "long"},
     "seq_len: must be a whole number, but got 'long' (fix: write e.g. 4)"),
    ({"seq_len": 1.5}, "seq_len: must be a whole number, but got 1.5 (fix: write e.g. 4)"),
    ({"target": {"value": "high"}},
     "target.value: must be a finite number, but got 'high' (fix: write e.g. 0.1)"),
    ({"graph": [1]}, "graph: must be a mapping, but got [1] (fix: write 'key: value' lines)"),
    ({"question": ""}, "question: must not be empty, but got '' (fix: give it a name)"),
    ({"match": "seed"},
     "match: must be 'mean', 'per_seed' or 'per_draw', but got 'seed' (fix: did you mean "
     "'per_seed'?)"),
    ({"search": {"sampler": "levelset"}},
     "search.sampler: must be 'level_set', 'tpe', 'gp', 'random', 'grid' or module:Class, but got "
     "'levelset' (fix: did you mean 'level_set'?)"),
    ({"seeds": 0},
     "seeds: must be a number of seeds, 1 to 100000, or a list of them, but got 0 "
     "(fix: seeds: 24, or seeds: [0, 1, 2])"),
    ({"seeds": [3, 3]}, "seeds: seeds must be distinct, but got [3, 3]"),
    ({"compressors": ["bz3"]},
     "compressors[0]: unknown compressor, but got 'bz3' (fix: did you mean 'bz2'?)"),
    (graph({**Z1, "parents": ["Z2"]}, {**Z2, "parents": ["Z1"]}, X),
     "graph.nodes: the graph without feedback edges must be acyclic, but got ['Z1', 'Z2'] "
     "(fix: break the cycle among these nodes)"),
    (graph(Z1, {**X, "observed": False}),
     "graph.nodes: exactly one node must be observed, but got [] "
     "(fix: write 'observed: true' on the node that emits the tokens)"),
    (graph({**Z1, "observed": True}, X),
     "graph.nodes: exactly one node must be observed, but got ['Z1', 'X'] "
     "(fix: write 'observed: true' on the node that emits the tokens)"),
    (graph({**Z1, "mode": "slow"}, X),
     "graph.nodes[0].parents: a slow node must have no parents, but got ['X'] "
     "(fix: remove the parents or choose another mode)"),
    (graph({**Z1, "alpha": 0}, X),
     "graph.nodes[0].alpha: must be greater than 0, but got 0 "
     "(fix: give a value greater than 0.0)"),
    (graph({**Z1, "state_dim": 1}, X),
     "graph.nodes[0].state_dim: must be greater than or equal to 2, but got 1 "
     "(fix: give a value of at least 2)"),
    (graph(Z1, {**X, "parents": ["Z3"]}),
     "graph.nodes[1].parents[0]: a parent must be a node of the graph, but got 'Z3' "
     "(fix: known: X, Z1)"),
    (space(low=0), "search_space.alpha_X.low: a logarithmic range must be above 0, but got 0.0"),
    (space(low=-1), "search_space.alpha_X.low: a logarithmic range must be above 0, but got -1.0"),
    (space(low=2),
     "search_space.alpha_X.low: low < high must hold, but got 2.0 (fix: swap the bounds)"),
    (space(high=float("inf")),
     "search_space.alpha_X.high: must be a finite number, but got inf (fix: write e.g. 0.1)"),
    (space(high=1e9),
     "search_space.alpha_X.high: alphas must be at most 1e+06, but got 1000000000.0 "
     "(fix: high: 1.0)"),
    (space(distribution="uniform"),
     "search_space.alpha_X.distribution: alphas must be log_uniform, but got 'uniform' "
     "(fix: distribution: log_uniform)"),
    ({"search_space": {"alpha_X": RANGE}},
     "search_space: must hold alpha_X and alpha_Z, but got ['alpha_X']"),
    ({"search_space": "alfas.yaml"},
     "names 'alfas.yaml', which is not there (fix: put it at alfas.yaml)"),
    ({"target": {"value": 0.9}},
     "target.value: must lie below 0.615, the gzip of pure noise, but got 0.9 "
     "(fix: lower the target)"),
    ({"target": {"value": 0.001}},
     "target.value: must lie above 0.009, the gzip of a token that never changes, but got 0.001 "
     "(fix: raise the target)"),
    ({"target": {"metric": "entropy_bits", "value": 3.0}},
     "target.value: must lie below 3.000, the entropy_bits of pure noise, but got 3.0 "
     "(fix: lower the target)"),
    ({"target": {"metric": "entropy_bits", "value": 2.0}, "entropy_sequences": 0},
     "entropy_sequences: must be above 0 where the target is the entropy, but got 0 "
     "(fix: entropy_sequences: 16, or target.metric: gzip)"),
    (graph({**Z1, "mode": "context"}, X),
     "entropy_sequences: must be 0: node Z1 has mode context, whose entropy has no closed form, "
     "but got 1 (fix: entropy_sequences: 0)"),
    ({"entropy_sequences": 3},
     "entropy_sequences: must be at most sequences_per_seed, 2, but got 3 "
     "(fix: lower it, or raise sequences_per_seed)"),
    ({"pairs": {"entropy_sequences": 3}},
     "pairs.entropy_sequences: must be at most sequences_per_seed, 2, but got 3 "
     "(fix: lower it, or raise sequences_per_seed)"),
    ({"seq_len": 10**9},
     "sequences_per_seed: sequences_per_seed x seq_len must be at most 100000000, "
     "but got 2000000000 (fix: use more seeds with fewer sequences)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "line"), WRONG_SETTINGS)
def test_wrong_settings(refused, tmp_path, changes, line) -> None:
    write(tmp_path, **changes)
    assert refused("small.yaml") == f"small.yaml: {line}"


def test_every_mistake_gets_its_line(refused, tmp_path) -> None:
    write(tmp_path, seq_len=0, match="both")
    lines = refused("small.yaml").splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["small.yaml", "match"], ["small.yaml", "seq_len"]
    ]  # fmt: skip


WRONG_FILES = [
    (b"", "the file is empty (fix: write a mapping of settings)"),
    (b"# nothing\n", "the file is empty (fix: write a mapping of settings)"),
    (b"[1, 2]", "must hold a mapping of settings, but got [1, 2] (fix: write 'key: value' lines)"),
    (b"\xff\xfe\x00", "is not UTF-8 text (fix: give a YAML file)"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line"), WRONG_FILES)
def test_wrong_files(refused, tmp_path, content, line) -> None:
    (tmp_path / "small.yaml").write_bytes(content)
    assert refused("small.yaml") == f"small.yaml: {line}"


UNREADABLE = [
    (b"kind: a\nseeds: [1", 2, "expected ',' or ']', but got '<stream end>'"),
    (b"kind: a\nkind: b", 2, "key 'kind' stands twice"),
    (b"a: 1\n\tb: 2", 2, "found character '\\t' that cannot start any token"),
]


@pytest.mark.parametrize(("content", "line_number", "reason"), UNREADABLE)
def test_unreadable_yaml(refused, tmp_path, content, line_number, reason) -> None:
    (tmp_path / "small.yaml").write_bytes(content)
    assert refused("small.yaml") == (
        f"small.yaml:{line_number}: not readable as YAML: {reason} (fix: mend this line)"
    )


WRONG_WORDS = [
    (["nowhere.yaml"], "nowhere.yaml: no such study file (fix: check the path, or see --list)"),
    (["dificulty"], "dificulty: no such study (fix: did you mean 'difficulty'?)"),
    ([], "NAME: name a study (fix: lrray study difficulty, or --list)"),
    (["small.yaml", "target.value"],
     "target.value: an override must be key=value (fix: e.g. target.value=0.8)"),
    (["small.yaml", "=3"], "=3: an override must be key=value (fix: e.g. target.value=0.8)"),
    (["small.yaml", "target.value=[1"],
     "target.value=[1: not readable as YAML: expected ',' or ']', but got '<stream end>' "
     "(fix: mend this line)"),
    (["small.yaml", "question.x=1"],
     "question.x=1: question must be a mapping, but got 'Where is a small graph equally hard?' "
     "(fix: override it whole)"),
    (["small.yaml", "targt.value=0.3"],
     "small.yaml: unknown key 'targt' (fix: did you mean 'target'?)"),
    (["small.yaml", "target.value=2"],
     "small.yaml: target.value: must lie below 0.615, the gzip of pure noise, but got 2.0 "
     "(fix: lower the target)"),
    (["small.yaml", "--address", "somewhere"],
     "--address: must be local, auto or HOST:PORT, but got 'somewhere' "
     "(fix: e.g. 10.0.0.2:6379)"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "line"), WRONG_WORDS)
def test_wrong_words_on_the_command_line(refused, tmp_path, words, line) -> None:
    write(tmp_path)
    assert refused(*words) == line


@pytest.mark.parametrize("name", ["x" * 300, "a/" + "x" * 300 + ".yaml", "zero\0byte", ".", "/"])
def test_names_that_no_file_can_have(refused, name) -> None:
    assert "no such study" in refused(name)


def test_an_address_where_nothing_answers(refused, tmp_path) -> None:
    write(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        assert refused("small.yaml", "--address", address) == (
            f"--address {address}: nothing answers there: Connection refused "
            "(fix: start a cluster with 'ray up cluster.yaml', or leave --address out)"
        )


@pytest.mark.parametrize(
    ("out", "reason"), [("small.yaml", "Not a directory"), ("/proc/none", "No such file")]
)
def test_an_out_folder_that_cannot_be_written(refused, tmp_path, out, reason) -> None:
    write(tmp_path)
    line = refused("small.yaml", "--out", out)
    assert line.startswith(f"{out}/small")
    assert f"cannot be made: {reason}" in line
    assert line.endswith("(fix: give another --out)")


def test_plan_and_resume_refuse_the_same(refused, tmp_path) -> None:
    write(tmp_path, seeds=0)
    assert refused("small.yaml", "--plan") == refused("small.yaml", "--resume")
