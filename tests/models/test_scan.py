"""The parallel scan equals the recurrence it stands for."""

import pytest
import torch

from lrray.models.recurrent import MinGRU, MinLSTM
from lrray.models.scan import linear_recurrence

torch.set_num_threads(1)


def sequential(a, b):
    state, states = torch.zeros_like(b[:, 0]), []
    for step in range(b.shape[1]):
        state = a[:, step] * state + b[:, step]
        states.append(state)
    return torch.stack(states, dim=1)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 33, 2048])
def test_parallel_scan_equals_the_sequential_recurrence(length):
    generator = torch.Generator().manual_seed(length)
    a = torch.rand(2, length, 3, generator=generator)
    b = torch.randn(2, length, 3, generator=generator)
    torch.testing.assert_close(linear_recurrence(a, b), sequential(a, b), rtol=1e-5, atol=1e-5)


def test_gradients_equal_those_of_the_sequential_recurrence():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 21, 3, generator=generator)
    gradients = []
    for scan in (linear_recurrence, sequential):
        a = torch.rand(2, 21, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
        b = torch.randn(2, 21, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
        (scan(a, b) * weight).sum().backward()
        gradients.append((a.grad, b.grad))
    for parallel, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(parallel, expected, rtol=1e-5, atol=1e-5)


def test_decay_near_0_and_1_over_a_long_sequence_stays_exact():
    decay = torch.tensor([1e-30, 1 - 2**-20, 1.0]).expand(1, 4096, 3)
    states = linear_recurrence(decay, torch.ones(1, 4096, 3))
    expected = sequential(decay.double(), torch.ones(1, 4096, 3).double())
    torch.testing.assert_close(states.double(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("mixer_class", [MinGRU, MinLSTM])
def test_a_mixer_equals_its_recurrence_step_by_step(mixer_class):
    torch.manual_seed(0)
    mixer = mixer_class(4, 6)
    x = 20 * torch.randn(2, 50, 4)  # large inputs: gates that are shut or wide open
    decay, inputs = mixer.coefficients(x)
    assert torch.isfinite(decay).all()
    expected = mixer.output(sequential(decay, inputs))
    torch.testing.assert_close(mixer(x), expected, rtol=1e-4, atol=1e-4)


def test_minlstm_gates_are_the_papers_quotients():
    torch.manual_seed(0)
    mixer = MinLSTM(4, 6)
    x = torch.randn(1, 5, 4)
    forget, enter, candidate = mixer.gates_and_candidate(x).chunk(3, dim=-1)
    f, i = torch.sigmoid(forget), torch.sigmoid(enter)
    decay, inputs = mixer.coefficients(x)
    torch.testing.assert_close(decay, f / (f + i))
    torch.testing.assert_close(inputs, i / (f + i) * candidate)
