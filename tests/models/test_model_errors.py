"""What a user can get wrong in a model's settings is told in one line."""

import pytest

from lrray.errors import LrrayError
from lrray.models import ModelConfig
from lrray.models.build import build_model, check_model

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
