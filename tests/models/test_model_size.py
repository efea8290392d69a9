"""Parameter counts and FLOPs agree with what torch counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.models.size import model_size

VOCAB, LENGTH, HIDDEN = 16, 32, 32

torch.set_num_threads(1)


def build(type_, **keys):
    settings = {"type": type_, "hidden_size": HIDDEN, "num_hidden_layers": 2, **keys}
    return build_model(ModelConfig.model_validate(settings), VOCAB, LENGTH, seed=0)


def test_embeddings_are_counted_apart():
    size = model_size(build("llama"), LENGTH)
    assert size.num_embedding_parameters == 2 * VOCAB * HIDDEN
    per_layer = 4 * HIDDEN**2 + 3 * HIDDEN * 4 * HIDDEN + 2 * HIDDEN
    assert size.num_non_embedding_parameters == 2 * per_layer + HIDDEN


def test_shared_and_positional_tables_count_once():
    size = model_size(build("gpt2"), LENGTH)
    assert size.num_embedding_parameters == (VOCAB + LENGTH) * HIDDEN
    tied = model_size(build("mingru", tie_word_embeddings=True), LENGTH)
    assert tied.num_embedding_parameters == VOCAB * HIDDEN


@pytest.mark.parametrize("type_", ["llama", "gpt2", "recurrent_gemma", "mingru", "minlstm"])
def test_flops_per_token_agree_with_torchs_counter(type_):
    keys = {"num_hidden_layers": 3} if type_ == "recurrent_gemma" else {}
    model = build(type_, **keys)
    if type_ in ("llama", "gpt2", "recurrent_gemma"):  # the counter does not know fused attention
        model.model.set_attn_implementation("eager")
    tokens = torch.zeros(4, LENGTH, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(tokens).sum().backward()
    counted = counter.get_total_flops() / tokens.numel()
    assert model_size(model, LENGTH).flops_per_token == pytest.approx(counted, rel=0.1)
