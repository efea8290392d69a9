"""Compressed sizes: the fixed definition, the primed form, and the other compressors."""

import zlib

import numpy as np
import pytest

from lrray.difficulty import compress_bits_per_token, gzip_difficulty
from lrray.difficulty.compressors import COMPRESSORS
from lrray.errors import LrrayError
from lrray.gssm import GSSM

ALL = ["zlib", *COMPRESSORS]


def test_gzip_difficulty_is_zlib_bytes_per_int64_token():
    tokens = np.arange(1000, dtype=np.uint8).reshape(10, 100) % 32
    expected = len(zlib.compress(tokens.astype("<i8").tobytes(), level=9)) / 1000
    assert gzip_difficulty(tokens) == expected
    assert compress_bits_per_token(tokens) == 8 * expected


def test_uniform_noise_of_32_tokens_reads_about_0_98():
    noise = np.random.default_rng(0).integers(32, size=100_000)
    assert 0.97 < gzip_difficulty(noise) < 1.0


def test_priming_removes_the_bias_of_small_samples(published_graph):
    graph = published_graph.with_alphas(1e-3, 0.142)
    plain, primed, reference = [], [], []
    for seed in range(12):
        tokens = GSSM(graph, seed).sample(258, 2048)
        reference.append(gzip_difficulty(tokens[18:], primer=tokens[:18]))
        primed.append(gzip_difficulty(tokens[2:18], primer=tokens[:2]))
        plain.append(gzip_difficulty(tokens[2:18]))
    bias_plain = np.mean(plain) - np.mean(reference)
    bias_primed = np.mean(primed) - np.mean(reference)
    assert 0.005 < bias_plain < 0.02
    assert abs(bias_primed) < 0.002


@pytest.mark.parametrize("name", ALL)
def test_every_compressor_stays_above_the_entropy_of_noise(name):
    noise = np.random.default_rng(1).integers(16, size=50_000).astype(np.uint8)
    assert 4.0 < compress_bits_per_token(noise, name) < 6.6


@pytest.mark.parametrize("name", ALL)
def test_every_compressor_sees_repetition(name):
    assert compress_bits_per_token(np.zeros(50_000, np.uint8), name) < 0.1


@pytest.mark.parametrize("name", [name for name in ALL if name != "zlib"])
def test_tokens_take_the_fewest_bytes_that_hold_them(name):
    tokens = np.random.default_rng(2).integers(256, size=4096)
    assert compress_bits_per_token(tokens, name) == compress_bits_per_token(
        tokens.astype(np.uint8), name
    )


def test_ppmd_comes_closest_to_the_exact_bound(published_graph):
    gssm = GSSM(published_graph.with_alphas(0.057, 1e-3), 42)
    tokens = gssm.sample(128, 2048)
    bound = gssm.nll(tokens[:32]).mean() / np.log(2) / 2047
    bits = {name: compress_bits_per_token(tokens, name) for name in ALL}
    assert min(bits, key=bits.get) == "ppmd"
    assert all(value > bound for value in bits.values())


@pytest.mark.parametrize(
    ("tokens", "name", "message"),
    [
        (
            [], "zlib",
            "tokens: must be a non-empty array of integers, but got 'float64 (0,)'",
        ),
        (
            [0.5], "zlib",
            "tokens: must be a non-empty array of integers, but got 'float64 (1,)'",
        ),
        ([-1], "bz2", "tokens: must not be negative, but got -1"),
        (
            [1], "bz3",
            "compressor: must be a known name, but got 'bz3' (fix: did you mean 'bz2'?)",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line(tokens, name, message):
    with pytest.raises(LrrayError) as error:
        compress_bits_per_token(tokens, name)
    assert str(error.value) == message
