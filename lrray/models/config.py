"""Which model to build: its type, its size and whatever else that type can be told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from lrray.config import Settings
from lrray.references import is_reference

RECURRENT_TYPES = ("mingru", "minlstm", "gru", "lstm")
"""Types written in this package; others are Hugging Face's or, as ``module:Class``, the user's."""

SHIPPED_TYPES = ("llama", "gpt2", "mamba", "mamba2", "recurrent_gemma", *RECURRENT_TYPES)
"""Types that the tests train; further Hugging Face types usually work."""


class ModelConfig(Settings):
    """A model by type and size, the same four keys for every architecture.

    Any further key goes to the type's own configuration (``LlamaConfig``, ``MambaConfig``, …, or
    :class:`lrray.models.recurrent_config.RecurrentConfig`) under the name it has there, and is
    checked against it by :func:`lrray.models.check.check_model`, before any work. A model of the
    user's own gets the keys that are given, these included, and none of the defaults below: its own
    hold.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    type: str = "llama"
    """``llama``, ``gpt2``, ``mamba``, ``mamba2``, ``recurrent_gemma``, ``mingru``, ``minlstm``,
    ``gru``, ``lstm``, any other causal ``model_type`` of transformers, or ``module:Class`` for a
    model of one's own (:mod:`lrray.models.custom`)."""
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

    @property
    def given(self) -> dict[str, Any]:
        """Every key that is given, the type aside; null is as good as none."""
        names = self.model_fields_set - {"type"}
        return {name: value for name, value in self if name in names and value is not None}

    @model_serializer(mode="wrap")
    def _without_defaults_of_others(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Whoever reads this back must find the same keys given.
        data: dict[str, Any] = dump(self)
        if not is_reference(self.type):
            return data
        return {name: value for name, value in data.items() if name in self.model_fields_set}
