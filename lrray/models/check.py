"""Checks a model's configuration before a study starts.

The keys of a Hugging Face type are checked by transformers, which brings torch: seconds of imports.
So what has passed is remembered in the user's cache folder, by everything that the outcome hangs
on, and a plan or a resumed run of models that are known to be sound needs neither.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from lrray.files import write_whole
from lrray.models.config import RECURRENT_TYPES, ModelConfig
from lrray.models.recurrent_config import recurrent_config
from lrray.references import is_reference


def check_model(config: ModelConfig, vocab_size: int, context_len: int) -> None:
    """Checks a configuration before a study starts, say; only a model of the user's own is built.

    Raises:
        LrrayError: unknown type or key; heads that do not divide the hidden size; a context or
            vocabulary larger than the given keys allow; a value that the type refuses; a model of
            the user's own that does not do what it must (:mod:`lrray.models.contract`).
    """
    if is_reference(config.type):
        from lrray.models.custom import check_custom

        check_custom(config, vocab_size, context_len)
    elif config.type in RECURRENT_TYPES:
        recurrent_config(config)
    else:
        _check_huggingface(config, vocab_size, context_len)


def _check_huggingface(config: ModelConfig, vocab_size: int, context_len: int) -> None:
    passed = _passed(config, vocab_size, context_len)
    if passed.exists():
        return
    from lrray.models.huggingface import make_config

    make_config(config, vocab_size, context_len)
    with suppress(OSError):  # a home that cannot be written: it is checked again next time
        passed.parent.mkdir(parents=True, exist_ok=True)
        write_whole(passed, "")


def _passed(config: ModelConfig, vocab_size: int, context_len: int) -> Path:
    """The file, empty, that says that a configuration has passed."""
    own = Path(__file__).with_name("huggingface.py").read_bytes()
    asked = f"{config.model_dump_json()} {vocab_size} {context_len} {version('transformers')}"
    name = sha256(own + asked.encode()).hexdigest()[:32]
    return _cache_folder() / "models" / name


def _cache_folder() -> Path:
    """Where things lie that can be made anew at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lrray"
