"""``lrray twohop build``."""

import json

import pytest
from typer.testing import CliRunner

from lrray.cli.app import app
from lrray.twohop.build import read_manifest


def build(*words):
    return CliRunner().invoke(app, ["twohop", "build", *map(str, words)])


def test_builds_the_named_datasets(tmp_path):
    done = build("parks", "ships", "--seed", 3, "--people", 5, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    for dataset in ("parks", "ships"):
        manifest = read_manifest(tmp_path / dataset)
        assert manifest["config"]["seed"] == 3
        assert len(manifest["people"]) == 5


def test_builds_a_facts_file_of_ones_own(tmp_path, make_facts):
    facts = make_facts(("Fram", "Norway"), ("Vasa", "Sweden"), ("Gjoa", "Denmark"))
    path = tmp_path / "boats.yaml"
    path.write_text(json.dumps(facts.model_dump(mode="json")))
    done = build("--facts", path, "--people", 3, "--out", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert read_manifest(tmp_path / "data" / "boats")["dataset"] == "boats"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a dataset (fix: lrray twohop build parks, or all)"),
        (("park",), "no such two-hop dataset (fix: did you mean 'parks'?)"),
        (("parks", "--people", "900"), "must be at most"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, words, message):
    done = build(*words, "--out", tmp_path)
    assert message in str(done.exception)
