"""What a build leaves on disk."""

import hashlib
import json

import pyarrow.json
import pytest

from lrray.errors import LrrayError
from lrray.twohop.build import KINDS, build, build_dataset, read_manifest
from lrray.twohop.chance import chance_levels
from lrray.twohop.facts import choose_facts, shipped_datasets, shipped_facts
from lrray.twohop.splits import BuildConfig, make_splits

CONFIG = BuildConfig(seed=3, shuffles=2)
PARKS = shipped_facts("parks")


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All shipped datasets, built into one folder."""
    out = tmp_path_factory.mktemp("data")
    build(choose_facts(["all"]), CONFIG, out)
    return out


def read_rows(path):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.json*")}


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_every_dataset_has_all_its_files_and_a_true_manifest(everything, dataset):
    manifest = read_manifest(everything / dataset)
    names = ["train/first_hop.jsonl"] + [
        f"test/{name}_{kind}.jsonl" for name in shipped_facts(dataset).attributes for kind in KINDS
    ]
    assert sorted(manifest["files"]) == sorted(names)
    for name in names:
        content = (everything / dataset / name).read_bytes()
        entry = manifest["files"][name]
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["rows"] == (40 if "shuffled" in name else 20)


@pytest.mark.parametrize("dataset", shipped_datasets())
def test_all_files_of_a_dataset_have_the_same_columns_of_the_same_types(everything, dataset):
    files = (everything / dataset).rglob("*.jsonl")
    schemas = {str(pyarrow.json.read_json(file).schema) for file in files}
    assert len(schemas) == 1
    assert "null" not in schemas.pop()


def test_rows_read_back_as_they_were_made(everything):
    splits = make_splits(PARKS, CONFIG)
    assert read_rows(everything / "parks/train/first_hop.jsonl") == splits.first_hop
    shuffled = read_rows(everything / "parks/test/state_nocot_shuffled.jsonl")
    assert shuffled == splits.attributes["state"].nocot_shuffled


@pytest.mark.parametrize("name", ["train/first_hop.jsonl", "test/state_nocot_shuffled.jsonl"])
def test_hugging_face_datasets_loads_the_files_as_they_are(everything, tmp_path, name):
    datasets = pytest.importorskip("datasets")
    file = everything / "parks" / name
    loaded = datasets.load_dataset("json", data_files=str(file), cache_dir=str(tmp_path))
    assert loaded["train"].to_list() == read_rows(file)


def test_equal_seeds_give_equal_bytes_and_other_seeds_others(everything, tmp_path):
    build_dataset(PARKS, CONFIG, tmp_path / "again")
    build_dataset(PARKS, CONFIG.model_copy(update={"seed": 4}), tmp_path / "other")
    again, other = contents(tmp_path / "again/parks"), contents(tmp_path / "other/parks")
    assert again == contents(everything / "parks")
    assert set(again) == set(other)
    assert all(again[path] != other[path] for path in again)


def test_the_manifest_tells_what_the_rows_were_made_from(everything):
    manifest = read_manifest(everything / "parks")
    first_hop = read_rows(everything / "parks/train/first_hop.jsonl")
    assert manifest["people"] == {row["person"]: row["answer_intermediate"] for row in first_hop}
    assert manifest["config"] == CONFIG.model_dump()
    state = manifest["attributes"]["state"]
    assert (state["people"], state["left_out_uncertain"], state["deranged"]) == (20, 0, True)


def test_chance_levels_are_those_counted_by_hand(make_facts):
    facts = make_facts(("Boat 1", "Peru"), ("Boat 2", "Peru"), ("Boat 3", "Cuba"))
    levels = chance_levels(make_splits(facts, BuildConfig(people=3)).attributes["flag"])
    assert levels["other_person"] == pytest.approx(2 / 6)
    assert levels["commonest"] == pytest.approx(2 / 3)
    assert levels["commonest_answer"] == "Peru"


def test_an_attribute_that_cannot_be_deranged_is_flagged(make_facts, tmp_path):
    facts = make_facts(("Boat 1", "Peru"), ("Boat 2", "Peru"), ("Boat 3", "Cuba"))
    entry = build_dataset(facts, BuildConfig(people=3), tmp_path)["attributes"]["flag"]
    assert (entry["fixed_points"], entry["deranged"]) == (1, False)


def test_building_again_leaves_no_file_of_an_attribute_that_is_gone(tmp_path):
    build_dataset(PARKS, CONFIG, tmp_path)
    own = tmp_path / "parks/test/notes.txt"
    own.write_text("mine")
    fewer = {"state": PARKS.attributes["state"]}
    build_dataset(PARKS.model_copy(update={"attributes": fewer}), CONFIG, tmp_path)
    names = {path.name for path in (tmp_path / "parks/test").iterdir()}
    assert names == {f"state_{kind}.jsonl" for kind in KINDS} | {"notes.txt"}


def test_a_changed_file_is_found_out(tmp_path):
    build_dataset(PARKS, CONFIG, tmp_path)
    file = tmp_path / "parks/test/state_cot.jsonl"
    file.write_text(file.read_text().replace("California", "Texas"))
    with pytest.raises(LrrayError, match=r"state_cot\.jsonl: must have the manifest's checksum"):
        read_manifest(tmp_path / "parks")


@pytest.fixture
def escaping(tmp_path):
    """A function that builds parks and lets its manifest name a file outside; gives that file."""

    def escape(path, **entry):
        victim = tmp_path / "victim.txt"
        victim.write_text("mine")
        build_dataset(PARKS, CONFIG, tmp_path)
        (tmp_path / "parks/link").symlink_to(tmp_path)
        manifest = tmp_path / "parks/manifest.json"
        named = {path.format(victim): entry}
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "files": named}))
        return victim

    return escape


OUTSIDE = ["../victim.txt", "test/../../victim.txt", "link/victim.txt", "{}"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_building_again_removes_nothing_outside_its_folder(escaping, tmp_path, path):
    victim = escaping(path)
    build_dataset(PARKS, CONFIG, tmp_path)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_manifest_that_names_files_outside_its_folder_is_refused(escaping, tmp_path, path):
    escaping(path, sha256=hashlib.sha256(b"mine").hexdigest())
    with pytest.raises(LrrayError, match=r"manifest\.json: must name files of its own folder"):
        read_manifest(tmp_path / "parks")


def test_a_build_that_was_cut_short_is_found_out(tmp_path):
    build_dataset(PARKS, CONFIG, tmp_path)
    (tmp_path / "parks/manifest.json").unlink()
    with pytest.raises(LrrayError, match="holds no complete dataset"):
        read_manifest(tmp_path / "parks")


def test_a_folder_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LrrayError, match="cannot be written"):
        build_dataset(PARKS, CONFIG, tmp_path / "file")


def test_names_in_other_scripts_are_written_as_they_are(make_facts, tmp_path):
    facts = make_facts(("Ærø\u2028båt", "Norge"), ("舟", "日本"))
    build_dataset(facts, BuildConfig(people=2), tmp_path)
    file = tmp_path / "boats/train/first_hop.jsonl"
    assert {row["answer"] for row in read_rows(file)} == {"Ærø\u2028båt", "舟"}
    assert all(json.loads(line) for line in file.read_text(encoding="utf-8").strip().split("\n"))
