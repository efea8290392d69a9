"""Where a study's results last and where its cells are shown: no part of what they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from lrray.config import Problem, Settings

WandbMode = Literal["online", "offline"]


_SCHEMES = ("s3", "gs", "gcs", "file")


def _checked(address: str) -> str:
    parts = urlsplit(address)
    if "@" in parts.netloc or ("@" in address and ":" in parts.netloc):
        raise Problem(
            "must hold no credentials: they would be written into results",
            fix="give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if parts.scheme and parts.scheme not in _SCHEMES:
        shown = address.rpartition("@")[2]  # what is before it may be a secret
        raise Problem("must be s3://…, gs://… or a path", got=shown, fix="s3://bucket/prefix")
    if address.startswith("~"):
        fix = str(Path(address).expanduser())
        raise Problem("must be the whole path: ~ is another folder elsewhere", got=address, fix=fix)
    if parts.scheme in ("s3", "gs", "gcs") and not parts.netloc:
        raise Problem("must name a bucket", got=address, fix=f"{parts.scheme}://bucket/prefix")
    return address


StorageAddress = Annotated[str, AfterValidator(_checked)]
"""``s3://bucket/prefix``, ``gs://bucket/prefix`` or a path that all nodes share."""


_Name = Annotated[str, Field(min_length=1)]


def _checked_project(name: str) -> str:
    if any(character in name for character in "/\\#?%:") or len(name) > 128:
        rule = "must be at most 128 characters, none of them / \\ # ? % :, for W&B"
        raise Problem(rule, got=name, fix="choose another name")
    return name


class Wandb(Settings):
    """One W&B run per cell. The API key is W&B's own matter: WANDB_API_KEY or ``wandb login``."""

    project: Annotated[_Name, AfterValidator(_checked_project)] = "lrray"
    entity: _Name | None = None
    """User or team; default: the one that the API key belongs to."""
    mode: WandbMode = "online"
    """``offline`` writes files alone, without an account, for ``wandb sync`` some other day."""
    tags: tuple[_Name, ...] = ()
    """Tags of every run, beside those of the environment's ``WANDB_TAGS`` (a,b)."""


class Tracking(Settings):
    """Where cells are shown beside the results folder; no part of their identity."""

    wandb: Wandb | None = None
    tensorboard: bool = False
    """Event files for each cell in ``tensorboard/<id>/``."""

    @property
    def is_on(self) -> bool:
        """Whether anything is to be tracked."""
        return self.wandb is not None or self.tensorboard
