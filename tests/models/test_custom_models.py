"""Models of the user's own: what they are called with, what they must do, what they cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lrray.errors import LrrayError
from lrray.models import ModelConfig
from lrray.models.build import build_model
from lrray.models.check import check_model
from lrray.models.size import model_size

VOCAB, LENGTH = 7, 24

torch.set_num_threads(1)

MODELS = '''
import torch
from torch import nn


class Recurrent(nn.Module):
    """What all others are made of."""

    def __init__(self, vocab_size, hidden_size, num_hidden_layers=1, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.cell = nn.GRU(
            hidden_size, hidden_size, num_hidden_layers, batch_first=True, dropout=dropout
        )
        self.head = nn.Linear(hidden_size, vocab_size, bias=False)

    def forward(self, tokens):
        return self.head(self.cell(self.embedding(tokens))[0])


class Named(Recurrent):
    def __init__(self, *, vocab_size, context_len, width, **more):
        super().__init__(vocab_size, width)
        self.called_with = {"context_len": context_len, "width": width, **more}


def tied(vocab_size, hidden_size):
    model = Recurrent(vocab_size, hidden_size)
    model.head.weight = model.embedding.weight
    return model


class SilentAtFirst(Recurrent):
    """Its output weights begin at zero, so that all logits are equal at first."""

    def __init__(self, vocab_size, hidden_size):
        super().__init__(vocab_size, hidden_size)
        nn.init.zeros_(self.head.weight)


class SilentCheat(SilentAtFirst):
    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.head(x + x.mean(dim=1, keepdim=True))


class Convolution(Recurrent):
    """Causal by padding; the transform's rounding alone lets later tokens through."""

    def __init__(self, vocab_size, hidden_size, kernel_len=1000, padded=True):
        super().__init__(vocab_size, hidden_size)
        self.kernel = nn.Parameter(torch.randn(kernel_len, hidden_size))
        self.padded, self.cell = padded, None

    def forward(self, tokens):
        x, length = self.embedding(tokens), tokens.shape[1]
        size = 2 * length if self.padded else length
        kernel = torch.fft.rfft(self.kernel[:length], size, dim=0)
        spectrum = torch.fft.rfft(x, size, dim=1) * kernel
        return self.head(torch.fft.irfft(spectrum, size, dim=1)[:, :length])


class CountsItself(Recurrent):
    def flops_per_token(self, context_len):
        return 1000 * context_len


class BothWays(Recurrent):
    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.head(self.cell(x)[0] + self.cell(x.flip(1))[0].flip(1))


class NextToken(Recurrent):
    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.head(x + x.roll(-1, dims=1))


class OverTheBatch(Recurrent):
    """The usual slip: torch's layers take time first."""

    def __init__(self, vocab_size, hidden_size):
        super().__init__(vocab_size, hidden_size)
        self.cell = nn.GRU(hidden_size, hidden_size)


class Remembers(Recurrent):
    state = None

    def forward(self, tokens):
        x, self.state = self.cell(self.embedding(tokens), self.state)
        return self.head(x)


class AlwaysDrops(Recurrent):
    def forward(self, tokens):
        return self.head(nn.functional.dropout(self.embedding(tokens), 0.5))


class WithState(Recurrent):
    def forward(self, tokens):
        x, state = self.cell(self.embedding(tokens))
        return self.head(x), state


class LastOnly(Recurrent):
    def forward(self, tokens):
        return super().forward(tokens)[:, -1]


class Likeliest(Recurrent):
    def forward(self, tokens):
        return super().forward(tokens).long()


class Overflows(Recurrent):
    def forward(self, tokens):
        return super().forward(tokens) / 0


class Short(Recurrent):
    def forward(self, tokens):
        if tokens.shape[1] > 20:
            raise ValueError("at most 20 tokens")
        return super().forward(tokens)


class Flat(Recurrent):
    """Tokens are cut from longer rows, so that their view is no single row in memory."""

    def forward(self, tokens):
        x = self.embedding(tokens.view(-1)).view(*tokens.shape, -1)
        return self.head(self.cell(x)[0])


class Detached(Recurrent):
    def forward(self, tokens):
        return super().forward(tokens).detach()


class Spare(Recurrent):
    def __init__(self, vocab_size, hidden_size):
        super().__init__(vocab_size, hidden_size)
        self.spare = nn.Linear(hidden_size, hidden_size)


class Edgy(Recurrent):
    """Finite, with a gradient that is not."""

    def forward(self, tokens):
        return super().forward(tokens) + torch.sqrt(0 * self.head.weight.sum())


class Frozen(Recurrent):
    def __init__(self, vocab_size, hidden_size):
        super().__init__(vocab_size, hidden_size)
        self.requires_grad_(False)


class Double(Recurrent):
    def __init__(self, vocab_size, hidden_size):
        super().__init__(vocab_size, hidden_size)
        self.double()


class Unseeded(Recurrent):
    def __init__(self, vocab_size, hidden_size):
        super().__init__(vocab_size, hidden_size)
        import numpy as np

        self.head.weight.data = torch.tensor(np.random.randn(vocab_size, hidden_size)).float()


class WithoutTokens(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()


def no_model(vocab_size):
    return "a model"
'''


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Forgotten afterwards, so that every test imports its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_models.py").write_text(MODELS)
    yield
    sys.modules.pop("own_models", None)


def own(name: str, **keys: Any) -> ModelConfig:
    return ModelConfig.model_validate({"type": f"own_models:{name}", **keys})


def test_a_model_of_ones_own_has_the_weights_that_its_class_makes_from_the_seed() -> None:
    built = build_model(own("Recurrent", hidden_size=8, num_hidden_layers=2), VOCAB, LENGTH, seed=3)
    torch.manual_seed(3)
    wanted = type(built)(VOCAB, 8, 2).state_dict()
    assert {name: weight.tolist() for name, weight in built.state_dict().items()} == {
        name: weight.tolist() for name, weight in wanted.items()
    }
    assert built.training
    assert all(parameter.grad is None for parameter in built.parameters())


def test_building_leaves_torchs_own_random_state_alone() -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    check_model(own("Recurrent", hidden_size=8), VOCAB, LENGTH)
    build_model(own("Recurrent", hidden_size=8), VOCAB, LENGTH, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_class_gets_the_keys_that_are_given_and_what_it_takes_of_the_data() -> None:
    model: Any = build_model(own("Named", width=8, hidden_size=4, depth=2), VOCAB, LENGTH, seed=0)
    wanted = {"context_len": LENGTH, "width": 8, "hidden_size": 4, "depth": 2}
    assert model.called_with == wanted


def test_given_keys_and_no_others_survive_the_way_to_a_worker() -> None:
    config = own("Recurrent", hidden_size=8, dropout=None)
    written = config.model_dump(mode="json", exclude_none=True)
    assert written == {"type": "own_models:Recurrent", "hidden_size": 8}
    assert ModelConfig.model_validate(written).given == config.given == {"hidden_size": 8}
    shipped = ModelConfig(type="gru").model_dump(mode="json", exclude_none=True)
    assert shipped == {"type": "gru", "hidden_size": 128, "num_hidden_layers": 4}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("Recurrent", {"hidden_size": 8, "num_hidden_layers": 2, "dropout": 0.5}),
        ("tied", {"hidden_size": 8}),
        ("SilentAtFirst", {"hidden_size": 8}),
        ("Convolution", {"hidden_size": 8}),
    ],
)
@pytest.mark.parametrize("length", [1, 2, 200])
def test_causal_models_of_many_makes_pass(name: str, keys: dict[str, Any], length: int) -> None:
    check_model(own(name, **keys), VOCAB, length)


CONTRACT = [
    ("BothWays", "must be causal, but the logits at position 0 depend on later tokens"),
    ("NextToken", "must be causal, but the logits at position 0 depend on later tokens"),
    ("SilentCheat", "must be causal, but the logits at position 0 depend on later tokens"),
    ("OverTheBatch", "must treat each sequence alone, but its logits depend on others in the"),
    ("Remembers", "must give the same logits for the same tokens in eval mode"),
    ("AlwaysDrops", "must give the same logits for the same tokens in eval mode"),
    ("WithState", "must return a tensor, but got 'tuple' (fix: return the logits alone"),
    (
        "LastOnly",
        "must return logits [B, T, V], [3, 24, 7] for tokens [3, 24], but got [3, 7]",
    ),
    ("Likeliest", "logits must be floating-point numbers, but got 'torch.int64'"),
    ("Overflows", "logits must be finite with fresh weights"),
    ("Short", "forward must take tokens [3, 24]: ValueError: at most 20 tokens (own_models.py:"),
    ("Flat", "forward must take tokens [3, 24]: RuntimeError: view size is not compatible"),
    ("Detached", "must be trainable, but its logits have no gradient"),
    ("Spare", "every weight must get a gradient, but spare.weight gets none"),
    ("Edgy", "gradients must be finite, but that of head.weight is not"),
    ("Frozen", "must have weights to train"),
    ("Double", "weights must be float32, which embedding.weight is not, but got 'torch.float64'"),
    ("Unseeded", "weights must follow from torch's seed, but head.weight does not"),
]


@pytest.mark.parametrize(("name", "rule"), CONTRACT)
@pytest.mark.parametrize("act", [check_model, build_model])
def test_a_model_that_breaks_a_rule_is_refused_in_one_line(name: str, rule: str, act: Any) -> None:
    arguments = (VOCAB, LENGTH) if act is check_model else (VOCAB, LENGTH, 0)
    with pytest.raises(LrrayError) as caught:
        act(own(name, hidden_size=8), *arguments)
    line = str(caught.value)
    assert f"model.type: own_models:{name}: {rule}" in line
    assert "\n" not in line


def test_a_circular_convolution_is_told_from_a_causal_one() -> None:
    with pytest.raises(LrrayError, match="must be causal"):
        check_model(own("Convolution", hidden_size=8, padded=False), VOCAB, LENGTH)


CALLS = [
    ("Recurrent", {}, "model: own_models:Recurrent needs 'hidden_size'", "hidden_size: …"),
    ("Recurrent", {"hidden_sise": 8}, "model: own_models:Recurrent takes no 'hidden_sise'", "size"),
    (
        "Recurrent",
        {"hidden_size": 8, "num_attention_heads": 2},
        "model: own_models:Recurrent takes no 'num_attention_heads'",
        "known: dropout, hidden_size, num_hidden_layers",
    ),
    ("Recurrent", {"vocab_size": 8}, "model.vocab_size: cannot be set, but got 8", "of the data"),
    ("Recurent", {}, "model.type: own_models.py must define Recurent", "'Recurrent'"),
    (
        "WithoutTokens",
        {"hidden_size": 8},
        "model.type: own_models:WithoutTokens must take vocab_size, the number of tokens",
        "def __init__(self, vocab_size, …)",
    ),
    ("no_model", {}, "model.type: own_models:no_model must make an nn.Module, but got 'str'", ""),
    (
        "Recurrent",
        {"hidden_size": 8, "dropout": 2},
        "model.type: own_models:Recurrent: cannot be built with vocab_size=7, hidden_size=8, "
        "dropout=2: ValueError: dropout should be a number in range [0, 1]",
        "(own_models.py:12)",
    ),
]


@pytest.mark.parametrize(("name", "keys", "message", "hint"), CALLS)
def test_a_call_that_does_not_fit_the_class_is_one_line(
    name: str, keys: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(LrrayError) as caught:
        check_model(own(name, **keys), VOCAB, LENGTH)
    line = str(caught.value)
    assert message in line
    assert hint in line
    assert "\n" not in line


def test_sizes_count_what_torch_counts_unless_the_model_says_it_itself() -> None:
    model = build_model(own("Convolution", hidden_size=16, kernel_len=1), VOCAB, LENGTH, seed=0)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(4, LENGTH, dtype=torch.long)).sum().backward()
    size = model_size(model, LENGTH)
    kernel = 16
    assert size.num_parameters == 2 * VOCAB * 16 + kernel
    assert size.num_non_embedding_parameters == kernel
    # The kernel is no matrix that torch's counter would know of, but counts as one here.
    assert size.flops_per_token == counter.get_total_flops() / (4 * LENGTH) + 6 * kernel
    counted = build_model(own("CountsItself", hidden_size=16), VOCAB, LENGTH, seed=0)
    assert model_size(counted, LENGTH).flops_per_token == 1000 * LENGTH


def test_tied_weights_are_multiplied_and_counted_once() -> None:
    model = build_model(own("tied", hidden_size=16), VOCAB, LENGTH, seed=0)
    size = model_size(model, LENGTH)
    assert size.num_embedding_parameters == VOCAB * 16
    assert size.flops_per_token == 6 * (VOCAB * 16 + 2 * 3 * 16 * 16)
