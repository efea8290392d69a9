"""What the page about two-hop data says is what the code does."""

import subprocess
import sys
from pathlib import Path

from lrray.twohop.build import build
from lrray.twohop.facts import choose_facts, load_facts
from lrray.twohop.splits import BuildConfig
from lrray.twohop.tables import chance_table

PAGE = Path(__file__).parents[2] / "docs/twohop-data.md"


def test_the_table_of_chance_levels_is_that_of_seed_zero(tmp_path):
    manifests = build(choose_facts(["all"]), BuildConfig(seed=0), tmp_path)
    assert all(entry["deranged"] for m in manifests for entry in m["attributes"].values())
    assert chance_table(manifests) in PAGE.read_text(encoding="utf-8")


def test_the_facts_file_shown_can_be_loaded_and_built(tmp_path):
    example = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "rivers.yaml"
    file.write_text(example, encoding="utf-8")
    (manifest,) = build([load_facts(file)], BuildConfig(people=3), tmp_path)
    assert manifest["dataset"] == "rivers"


def test_building_needs_no_heavy_library():
    code = (
        "import sys, lrray.twohop.build, lrray.twohop.tables\n"
        "print({'ray', 'torch', 'transformers', 'typer', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
