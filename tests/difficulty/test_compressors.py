"""Compressed sizes: the fixed definition, the primed form, and the other compressors."""

import sys
import zlib

import numpy as np
import pytest

from lrray.config import Problem
from lrray.difficulty import compress_bits_per_token, gzip_difficulty
from lrray.difficulty.compressors import COMPRESSORS, check_compressors
from lrray.difficulty.estimate import SampleSize, measure_draw
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


OWN = """
import zlib

def fastest(data):
    return len(zlib.compress(data, level=1))

def whole(data): return len(data)
def in_bits(data): return 8.5 * len(data)
def negative(data): return -1
def sure(data): return True
def text(data): return len(data.encode())
def loss(data): return 1
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_sizes.py").write_text(OWN)
    (tmp_path / "more_sizes.py").write_text(OWN)
    yield
    for name in ("own_sizes", "more_sizes"):
        sys.modules.pop(name, None)


def test_a_compressor_of_ones_own_gets_each_token_in_the_fewest_whole_bytes(own):
    tokens = np.random.default_rng(3).integers(16, size=5000)
    wanted = 8 * len(zlib.compress(tokens.astype(np.uint8).tobytes(), level=1)) / 5000
    assert compress_bits_per_token(tokens, "own_sizes:fastest") == wanted
    assert compress_bits_per_token(tokens, "own_sizes:whole") == 8
    assert compress_bits_per_token(tokens * 999, "own_sizes:whole") == 16


def test_a_draw_is_measured_by_a_compressor_of_ones_own_under_its_short_name(own, published_graph):
    size = SampleSize(2, 64, entropy_sequences=0, compressors=("own_sizes:whole", "bz2"))
    measures = measure_draw(GSSM(published_graph.with_alphas(0.1, 0.1), 0), size)
    assert list(measures) == ["gzip", "whole", "bz2"]
    assert measures["whole"] == 8


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (
            ["bz2", "bz3"],
            "study: compressors[1]: unknown compressor, but got 'bz3' (fix: did you mean 'bz2'?)",
        ),
        (
            ["own_size:whole"],
            "study: compressors[0]: there is no module own_size, but got 'own_size:whole' "
            "(fix: did you mean 'own_sizes'?)",
        ),
        (
            ["own_sizes:in_bits"],
            "study: compressors[0]: own_sizes:in_bits must return the compressed size in whole "
            "bytes, but got 8704.0 (fix: return len(compressed))",
        ),
        (
            ["own_sizes:negative"],
            "study: compressors[0]: own_sizes:negative must return the compressed size in whole "
            "bytes, but got -1 (fix: return len(compressed))",
        ),
        (
            ["own_sizes:sure"],
            "study: compressors[0]: own_sizes:sure must return the compressed size in whole "
            "bytes, but got True (fix: return len(compressed))",
        ),
        (
            ["own_sizes:text"],
            "study: compressors[0]: must take bytes, but raised AttributeError: 'bytes' object has "
            "no attribute 'encode' (own_sizes.py:11), but got 'own_sizes:text' (fix: mend the "
            "function)",
        ),
        (
            ["own_sizes:whole", "more_sizes:whole"],
            "study: compressors[1]: its numbers would be called whole, like own_sizes:whole, but "
            "got 'more_sizes:whole' (fix: give the function another name)",
        ),
        (
            ["own_sizes:loss"],
            "study: compressors[0]: its numbers would be called loss, like a number of lrray's "
            "own, but got 'own_sizes:loss' (fix: give the function another name)",
        ),
    ],
)
def test_a_compressor_that_a_study_cannot_use_is_one_line_before_any_work(own, names, line):
    with pytest.raises(Problem) as caught:
        check_compressors(names, list(COMPRESSORS))
    assert str(caught.value.error("study")) == line


def test_compressors_that_can_be_used_pass(own):
    check_compressors(["zlib", "own_sizes:whole", "own_sizes:fastest", "ppmd"], ALL)
