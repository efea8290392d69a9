"""What a user can get wrong in a model's settings is told in one line."""

import pytest

from lrray.errors import LrrayError
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.models.check import check_model
from lrray.models.huggingface import make_config

ROWS = [
    ({"type": "lama"}, "model.type: must be a known model type, but got 'lama'", "'llama'"),
    ({"type": "quantum"}, "model.type: must be a known model type", "mingru, minlstm"),
    ({"hiden_act": "silu"}, "model: type llama has no key 'hiden_act'", "'hidden_act'"),
    ({"type": "gpt2", "n_layers": 3}, "type gpt2 has no key 'n_layers'", "'n_layer'"),
    ({"type": "mingru", "expansoin": 2}, "model: unknown key 'expansoin'", "'expansion'"),
    ({"num_attention_heads": 3}, "must divide hidden_size 32, but got 3", "divisor"),
    ({"type": "lstm", "num_attention_heads": 4}, "type lstm has no attention heads", "leave it"),
    ({"type": "mamba", "num_attention_heads": 4}, "type mamba has no attention heads", "leave"),
    (
        {"max_position_embeddings": 16},
        "model.max_position_embeddings: must be at least the context length of the data, 64",
        "raise it",
    ),
    ({"type": "gpt2", "n_positions": 16}, "model.n_positions: must be at least", "raise it"),
    ({"vocab_size": 5}, "model.vocab_size: must be at least the graph's number of tokens, 8", ""),
    ({"rms_norm_eps": "small"}, "model: type llama refuses these keys", "rms_norm_eps"),
    (
        {"type": "gemma3"},
        "model.type: must take hidden_size 32, which this one makes 2304, but got 'gemma3'",
        "type: gemma3_text",
    ),
    ({"type": "llama4"}, "model.type: must take hidden_size 32", "type: llama4_text"),
    ({"type": "musicgen"}, "model: type musicgen refuses these keys: Multiple valid text", ""),
    (
        {"type": "mamba2", "num_heads": 0},
        "model.num_heads: must be a number above 0, but got 0",
        "4",
    ),
    ({"type": "mamba2", "num_heads": "x"}, "model.num_heads: must be a number above 0", "e.g. 4"),
    ({"type": "mamba2", "expand": "two"}, "model.expand: must be a number above 0", "e.g. 2"),
    (
        {"type": "mamba2", "expand": float("inf")},
        "model.expand: must be a number above 0",
        "e.g. 2",
    ),
    (
        {"type": "mingru", "expansion": float("inf")},
        "model: expansion: must be a finite number",
        "",
    ),
    ({"type": "lstm", "mlp_ratio": float("inf")}, "model: mlp_ratio: must be a finite number", ""),
]


@pytest.mark.parametrize(("keys", "message", "hint"), ROWS)
def test_a_mistake_is_one_line_before_any_work(keys, message, hint):
    config = ModelConfig.model_validate({"hidden_size": 32, **keys})
    with pytest.raises(LrrayError) as caught:
        check_model(config, vocab_size=8, context_len=64)
    line = str(caught.value)
    assert message in line
    assert hint in line
    assert "\n" not in line


def test_an_encoder_is_refused_because_it_reads_the_answer():
    config = ModelConfig.model_validate({"type": "bert", "hidden_size": 16, "num_hidden_layers": 2})
    with pytest.raises(LrrayError, match="must be causal"):
        build_model(config, vocab_size=8, context_len=16, seed=0)


def test_a_failure_while_building_is_one_line():
    config = ModelConfig.model_validate({"hidden_size": 32, "hidden_act": "nonsense"})
    with pytest.raises(LrrayError, match="type llama refuses these keys") as caught:
        build_model(config, vocab_size=8, context_len=16, seed=0)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_also_an_alias_is_the_field_of_that_name():
    config = ModelConfig.model_validate({"type": "qwen3_moe", "hidden_size": 32, "num_experts": 6})
    assert make_config(config, vocab_size=8, context_len=64).num_experts == 6
