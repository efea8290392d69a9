"""Workers import the run's copy of the user's modules, not the files that somebody may edit."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from lrray.execution.own_copy import import_copy
from lrray.results.code_copy import changed_modules, copied_files, differences, save_code
from lrray.results.folder import RunFolder
from lrray.studies.cell import Cell
from lrray.studies.code import UserCode, user_code

HELPER = "from pathlib import Path\n\nDATA = Path(__file__).parent / 'data.txt'\nFACTOR = 2\n"
MAIN = (
    "from copied_helper import DATA, FACTOR\n\n\ndef f(x):\n    return FACTOR * x + 1 / (x - 3)\n"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    yield place
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def begun(folder: RunFolder, *names: str) -> tuple[Cell, UserCode]:
    """What a driver does: keeps a copy and makes a cell of it."""
    code = user_code(names)
    save_code(folder, code)
    return Cell("function", {}, {}, f"results 1 {code.digest}"), code


def write(here: Path, **files: str) -> None:
    for name, text in files.items():
        path = here / f"{name.replace('__', '/', 1)}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_an_edit_after_the_start_changes_nothing(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    cell, _ = begun(folder, "copied_main")
    write(here, copied_helper=HELPER.replace("2", "5"), copied_main="raise RuntimeError")
    import_copy(cell, folder)
    assert import_module("copied_main").f(4) == 9.0


def test_what_somebody_else_put_into_the_copy_does_not_run(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    cell, code = begun(folder, "copied_main")
    copy = folder.path / "code" / code.digest
    mark = here / "ran"
    evil = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    (copy / "copied_helper.py").write_text(evil + HELPER)
    (copy / "decimal.py").write_text(evil)
    (copy / "copied_main.py").unlink()
    (here / "evil.py").write_text(evil + MAIN)
    (copy / "copied_main.py").symlink_to(here / "evil.py")
    sys.modules.pop("decimal", None)
    save_code(folder, code)  # as every driver does before its first cell
    import_copy(cell, folder)
    assert import_module("copied_main").f(4) == 9.0
    assert import_module("decimal").Decimal
    assert not mark.exists()
    assert sorted(path.name for path in copy.iterdir()) == ["copied_helper.py", "copied_main.py"]


def test_what_was_imported_before_is_imported_anew(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    cell, _ = begun(folder, "copied_main")
    write(here, copied_helper=HELPER.replace("2", "5"))
    assert import_module("copied_main").f(4) == 21.0
    import_copy(cell, folder)
    assert import_module("copied_main").f(4) == 9.0
    module = sys.modules["copied_main"]
    import_copy(cell, folder)  # the next cell of the same worker
    assert sys.modules["copied_main"] is module


def test_cells_of_two_versions_get_theirs_in_one_worker(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    first, _ = begun(folder, "copied_main")
    write(here, copied_helper=HELPER.replace("2", "5"))
    second, _ = begun(folder, "copied_main")
    for cell, value in ((first, 9.0), (second, 21.0), (first, 9.0)):
        import_copy(cell, folder)
        assert import_module("copied_main").f(4) == value


def test_data_beside_a_module_are_found_where_it_lies(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    (here / "data.txt").write_text("beside")
    cell, _ = begun(folder, "copied_main")
    import_copy(cell, folder)
    main: Any = import_module("copied_main")
    assert main.DATA.read_text() == "beside"
    assert main.__file__ == str(here / "copied_main.py")


def test_packages_and_modules_outside_the_copy_go_together(here: Path, folder: RunFolder) -> None:
    write(
        here, copied_package____init__="", copied_package__part="from .other import VALUE\n",
        copied_package__other="VALUE = 1\n", copied_package__plugin="from . import part\n",
    )  # fmt: skip
    cell, code = begun(folder, "copied_package.part")
    assert [module.name for module in code.modules] == [
        "copied_package", "copied_package.other", "copied_package.part",
    ]  # fmt: skip
    write(here, copied_package__other="VALUE = 2\n")
    import_copy(cell, folder)
    # What no import names is found in the original folder.
    plugin: Any = import_module("copied_package.plugin")
    assert plugin.part.VALUE == 1


def test_a_module_whose_file_is_gone_is_imported(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    cell, _ = begun(folder, "copied_main")
    (here / "copied_helper.py").unlink()
    import_copy(cell, folder)
    assert import_module("copied_main").f(4) == 9.0


def test_a_traceback_shows_the_lines_that_ran(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    cell, _ = begun(folder, "copied_main")
    write(here, copied_main="# other\n# lines\n# than\n# those\n# that ran\n")
    import_copy(cell, folder)
    with pytest.raises(ZeroDivisionError) as raised:
        import_module("copied_main").f(3)
    text = "".join(traceback.format_exception(raised.value))
    assert f'File "{here / "copied_main.py"}", line 5, in f' in text
    assert "return FACTOR * x + 1 / (x - 3)" in text


def test_a_source_in_another_encoding_is_copied(here: Path, folder: RunFolder) -> None:
    (here / "copied_main.py").write_bytes("# coding: latin-1\nNAME = 'é'\n".encode("latin-1"))
    cell, _ = begun(folder, "copied_main")
    import_copy(cell, folder)
    assert import_module("copied_main").NAME == "é"


def test_what_is_too_long_for_a_copy_is_imported_from_its_place(
    here: Path, folder: RunFolder
) -> None:
    write(here, copied_main=MAIN, copied_helper=HELPER + "#" * 1_000_001)
    cell, code = begun(folder, "copied_main")
    assert list(copied_files(folder.path, code.digest)) == ["copied_main"]
    import_copy(cell, folder)
    assert import_module("copied_main").f(4) == 9.0


def test_the_difference_names_files_and_lines(here: Path, folder: RunFolder) -> None:
    write(here, copied_helper=HELPER, copied_main=MAIN)
    _, code = begun(folder, "copied_main")
    old = copied_files(folder.path, code.digest)
    assert not differences(old, code)
    assert not changed_modules(old, code)
    write(here, copied_helper=HELPER.replace("2", "5"))
    new = user_code(["copied_main"])
    assert [module.name for module in changed_modules(old, new)] == ["copied_helper"]
    text = differences(old, new)
    assert text.startswith("--- then/copied_helper.py\n+++ now/copied_helper.py\n")
    assert "-FACTOR = 2\n+FACTOR = 5\n" in text
