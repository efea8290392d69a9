"""Small recurrent language models: minGRU, minLSTM (arXiv 2410.01201) and torch's GRU and LSTM.

All four share one backbone, so that comparing them compares the recurrence alone: pre-norm
residual blocks of a recurrent mixer and a GELU network.

Axis letters: B sequence, T step, H hidden_size, D state size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lrray.models.recurrent_config import RecurrentConfig
from lrray.models.scan import linear_recurrence


class MinGRU(nn.Module):
    """h[t] = (1 - z[t]) * h[t-1] + z[t] * c[t], gate z and candidate c linear in the input."""

    def __init__(self, hidden_size: int, state_size: int) -> None:
        super().__init__()
        self.gate_and_candidate = nn.Linear(hidden_size, 2 * state_size)
        self.output = nn.Linear(state_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, H]`` to ``[B, T, H]``."""
        decay, inputs = self.coefficients(x)
        mixed: Tensor = self.output(linear_recurrence(decay, inputs))
        return mixed

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Decay and input ``[B, T, D]`` of the recurrence."""
        gate, candidate = self.gate_and_candidate(x).float().chunk(2, dim=-1)
        # sigmoid(-gate) rather than 1 - sigmoid(gate): exact where the gate is nearly closed.
        return torch.sigmoid(-gate), torch.sigmoid(gate) * candidate


class MinLSTM(nn.Module):
    """h[t] = f'[t] * h[t-1] + i'[t] * c[t] with f' = f / (f + i), i' = i / (f + i)."""

    def __init__(self, hidden_size: int, state_size: int) -> None:
        super().__init__()
        self.gates_and_candidate = nn.Linear(hidden_size, 3 * state_size)
        self.output = nn.Linear(state_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, H]`` to ``[B, T, H]``."""
        decay, inputs = self.coefficients(x)
        mixed: Tensor = self.output(linear_recurrence(decay, inputs))
        return mixed

    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Decay and input ``[B, T, D]`` of the recurrence."""
        forget, enter, candidate = self.gates_and_candidate(x).float().chunk(3, dim=-1)
        # f / (f + i) as a sigmoid of log f - log i: no quotient of two tiny numbers.
        logit = nn.functional.logsigmoid(forget) - nn.functional.logsigmoid(enter)
        return torch.sigmoid(logit), torch.sigmoid(-logit) * candidate


class TorchRNN(nn.Module):
    """torch's GRU or LSTM, one layer, projected back to the residual stream."""

    def __init__(self, cell: type[nn.GRU] | type[nn.LSTM], hidden: int, state_size: int) -> None:
        super().__init__()
        self.cell = cell(hidden, state_size, batch_first=True)
        self.output = nn.Linear(state_size, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, H]`` to ``[B, T, H]``."""
        mixed: Tensor = self.output(self.cell(x)[0])
        return mixed


MIXERS: dict[str, Callable[[int, int], nn.Module]] = {
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "gru": lambda hidden, state: TorchRNN(nn.GRU, hidden, state),
    "lstm": lambda hidden, state: TorchRNN(nn.LSTM, hidden, state),
}


class Block(nn.Module):
    """x + mixer(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, type_: str, hidden_size: int, config: RecurrentConfig) -> None:
        super().__init__()
        state_size = max(1, round(config.expansion * hidden_size))
        self.norm = nn.RMSNorm(hidden_size)
        self.mixer = MIXERS[type_](hidden_size, state_size)
        self.dropout = nn.Dropout(config.dropout)
        width = round(config.mlp_ratio * hidden_size)
        self.mlp = nn.Sequential(
            nn.RMSNorm(hidden_size),
            nn.Linear(hidden_size, width),
            nn.GELU(),
            nn.Linear(width, hidden_size),
            nn.Dropout(config.dropout),
        ) if width else None  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """``[B, T, H]`` to ``[B, T, H]``."""
        x = x + self.dropout(self.mixer(self.norm(x)))
        return x if self.mlp is None else x + self.mlp(x)


class RecurrentLM(nn.Module):
    """Embedding, blocks, norm, output weights."""

    def __init__(
        self,
        type_: str,
        vocab_size: int,
        hidden_size: int,
        num_hidden_layers: int,
        config: RecurrentConfig,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.layers = nn.ModuleList(
            Block(type_, hidden_size, config) for _ in range(num_hidden_layers)
        )
        self.norm = nn.RMSNorm(hidden_size)
        self.head = nn.Linear(hidden_size, vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=config.initializer_range)
        nn.init.normal_(self.head.weight, std=config.initializer_range)
        if config.tie_word_embeddings:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[B, T, V]`` of each next token, from tokens ``[B, T]``."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(self.norm(x))
        return logits
