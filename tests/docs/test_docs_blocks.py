"""What the pages show is run: Python as it is, studies by their loader, commands by the parser."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer import BadParameter
from typer.main import get_command

from lrray.cli.app import app
from lrray.config import dump_yaml, load_yaml, parse_yaml
from lrray.errors import LrrayError
from lrray.studies.kind import _added, load_kind
from lrray.studies.load import list_studies, load_study
from lrray.twohop.facts import load_facts
from tests.docs.blocks import ROOT, Block, blocks, inline_commands, pages

UsageError = BadParameter.__mro__[1]
"""Of the command line: unknown options and missing arguments."""

_LONG = {"docs/training.md"}
"""Pages whose Python trains a model for a while."""
_NOTEBOOKS = {"docs/notebook.md"}
"""Pages that are executed in a kernel, by ``test_notebook.py``."""
_PLACEHOLDER = re.compile(r"…|\.\.\.|[<>{}]|\b[A-Z]{3,}\b")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder; modules written there are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    for remembered in (load_kind, _added):  # a page may hold a package that adds a kind
        remembered.cache_clear()
    yield tmp_path
    for remembered in (load_kind, _added):
        remembered.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def _page_blocks(page: str, folder: Path) -> list[Block]:
    """The blocks that can be run; files that they name are written first."""
    found = list(blocks((ROOT / page).read_text(encoding="utf-8")))
    for block in found:
        if "file" in block.marks:
            file = folder / block.marks["file"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    return [block for block in found if "not run" not in block.marks]


def _with(language: str) -> list[str]:
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages()}
    return [page for page, text in texts.items() if f"```{language}\n" in text]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(p, marks=[pytest.mark.slow] if p in _LONG else [])
        for p in _with("python")
        if p not in _NOTEBOOKS
    ],
)
def test_python_runs_and_prints_what_the_page_shows(page, folder):
    found = _page_blocks(page, folder)
    names: dict[str, Any] = {"__name__": "page"}
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, f"{page}:{block.line}", "exec"), names)
        if after is not None and after.language == "text" and "print" in block.text:
            assert printed.getvalue() == after.text


@pytest.mark.parametrize("page", _with("yaml"))
def test_yaml_is_read_by_the_loader_it_is_for(page, folder):
    for block in _page_blocks(page, folder):
        if block.language == "yaml":
            _load(block, folder, f"{page}:{block.line}")


def _load(block: Block, folder: Path, where: str) -> None:
    data = parse_yaml(block.text, where)
    file = folder / f"block_{block.line}.yaml"
    file.write_text(block.text, encoding="utf-8")
    if "entities" in data:
        assert load_facts(file).dataset == data["dataset"]
    elif "nodes" in data or "cluster_name" in data:
        pytest.fail(f"{where}: say which loader reads this")
    elif "kind" in data:
        _expand(str(file))
    else:
        base = block.marks.get("part of")
        assert base, f"{where}: a part of a study needs <!-- part of: STUDY --> above it"
        known = list_studies()
        whole = load_yaml(known.get(base, folder / base))
        file.write_text(dump_yaml({**whole, **data}), encoding="utf-8")
        _expand(str(file))


def _expand(name: str, overrides: tuple[str, ...] = ()) -> None:
    """Everything that happens to a study before Ray starts."""
    assert load_study(name, overrides).points


@pytest.mark.parametrize("page", pages())
def test_commands_exist_with_these_options_and_settings(page, folder):
    found = [command for block in _page_blocks(page, folder) for command in block.commands]
    text = (ROOT / page).read_text(encoding="utf-8")
    for words in [*found, *inline_commands(text)]:
        if words[:3] == ["python", "-m", "lrray.study"]:
            words = ["lrray", "study", *words[3:]]
        if words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert next(word for word in words[1:] if "=" not in word) in targets, words
        elif words[0] == "lrray":
            _parse(words[1:], f"{page}: {' '.join(words)}")


def _parse(words: list[str], where: str) -> None:
    """Reads a command's words as the command line does, and loads the study they name."""
    command: Any = get_command(app)
    name, words = "lrray", list(words)
    while hasattr(command, "commands"):
        if not words or words == ["--help"]:
            return
        name = words.pop(0)
        if name.startswith("-"):
            assert any(name in option.opts for option in command.params), where
            return
        assert name in command.commands, where
        command = command.commands[name]
    if not words:  # prose that speaks of the command
        return
    with command.make_context(name, list(words)) as context:
        given = context.params
    if name == "study" and given["name"] and not _PLACEHOLDER.search(" ".join(words)):
        try:
            _expand(given["name"], tuple(given["overrides"] or ()))
        except LrrayError as error:
            pytest.fail(f"{where}: {error}")


def test_a_wrong_key_in_a_shown_study_is_caught(folder):
    study = "kind: train\nquestion: q\nhypothesis: h\ntrain: {learning_rat: 1}\n"
    pairs = "pairs: studies/pairs/four_latents_gzip.yaml\n"
    with pytest.raises(LrrayError, match="learning_rat"):
        _load(Block("yaml", study + pairs, 1, {}), folder, "page")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("lrray stduy difficulty", "lrray stduy"),
        ("lrray study difficulty --pan", "No such option"),
        ("lrray study difficulty targt.value=1", "targt"),
        ("lrray study dificulty", "no such study"),
    ],
)
def test_a_wrong_command_in_a_page_is_caught(folder, command, message):
    [block] = blocks(f"```console\n$ {command}  # a comment\n```\n")
    [words] = block.commands
    with pytest.raises((UsageError, AssertionError, pytest.fail.Exception)) as caught:
        _parse(words[1:], command)
    assert message in str(caught.value)
