"""Every shipped architecture is built, sees no later token and learns."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.models.config import SHIPPED_TYPES

VOCAB, LENGTH = 11, 12

torch.set_num_threads(1)


def small(type_, **keys):
    return ModelConfig.model_validate(
        {"type": type_, "hidden_size": 16, "num_hidden_layers": 3, **keys}
    )


@pytest.fixture(scope="module", params=SHIPPED_TYPES)
def model(request):
    return build_model(small(request.param), VOCAB, LENGTH, seed=0)


def test_logits_cover_every_step_and_token(model):
    logits = model(torch.zeros(2, LENGTH, dtype=torch.long))
    assert logits.shape == (2, LENGTH, VOCAB)
    assert logits.dtype == torch.float32


def test_later_tokens_do_not_change_earlier_logits(model):
    tokens = torch.randint(VOCAB, (2, LENGTH), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % VOCAB
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7:], after[:, 7:])


def test_every_parameter_gets_a_gradient_and_token_0_is_no_padding(model):
    tokens = torch.arange(LENGTH)[None] % VOCAB
    model.zero_grad()
    cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:]).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    embedding = next(m for m in model.modules() if isinstance(m, nn.Embedding))
    assert embedding.weight.grad[0].abs().sum() > 0


def test_a_few_steps_memorise_one_sequence(model):
    tokens = torch.randint(VOCAB, (1, LENGTH), generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_no_dropout_unless_asked_for():
    model = build_model(small("gpt2"), VOCAB, LENGTH, seed=0)
    assert all(m.p == 0 for m in model.modules() if isinstance(m, nn.Dropout))
    asked = build_model(small("gpt2", resid_pdrop=0.25), VOCAB, LENGTH, seed=0)
    assert any(m.p == 0.25 for m in asked.modules() if isinstance(m, nn.Dropout))


@pytest.mark.parametrize("type_", ["llama", "mingru"])
def test_weights_are_a_function_of_the_seed_alone(type_):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = build_model(small(type_), VOCAB, LENGTH, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(7)
    again, other = (build_model(small(type_), VOCAB, LENGTH, seed=seed) for seed in (3, 4))
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
    pairs = zip(first.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(p, q) for p, q in pairs)


def test_a_type_that_is_not_shipped_builds_too():
    model = build_model(small("qwen3"), VOCAB, LENGTH, seed=0)
    assert model(torch.zeros(1, 4, dtype=torch.long)).shape == (1, 4, VOCAB)
