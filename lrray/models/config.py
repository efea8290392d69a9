"""Which model to build: its type, its size and whatever else that type can be told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from lrray.config import Settings

RECURRENT_TYPES = ("mingru", "minlstm", "gru", "lstm")
"""Types written in this package; every other type is a Hugging Face causal architecture."""

SHIPPED_TYPES = ("llama", "gpt2", "mamba", "mamba2", "recurrent_gemma", *RECURRENT_TYPES)
"""Types that the tests train; further Hugging Face types usually work."""


class ModelConfig(Settings):
    """A model by type and size, the same four keys for every architecture.

    Any further key goes to the type's own configuration (``LlamaConfig``, ``MambaConfig``, …, or
    :class:`lrray.models.recurrent.RecurrentConfig`) under the name it has there, and is checked
    against it by :func:`lrray.models.build.check_model`, before any work.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    type: str = "llama"
    """``llama``, ``gpt2``, ``mamba``, ``mamba2``, ``recurrent_gemma``, ``mingru``, ``minlstm``,
    ``gru``, ``lstm`` or any other causal ``model_type`` of transformers."""
    hidden_size: Annotated[int, Field(ge=1)] = 128
    """Width of the residual stream."""
    num_hidden_layers: Annotated[int, Field(ge=1)] = 4
    """Number of blocks."""
    num_attention_heads: Annotated[int, Field(ge=1)] | None = None
    """Heads of types that have them (then 4 by default); an error for the others."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        # Only the type's own configuration knows its keys, and reading it is too slow for here.
        return data

    @property
    def options(self) -> dict[str, Any]:
        """The further keys, for the type's own configuration."""
        return dict(self.model_extra or {})
