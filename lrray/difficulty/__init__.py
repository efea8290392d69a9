"""Difficulty of token sequences: compressors, entropy, estimates over kernel draws."""

from lrray.difficulty.compressors import compress_bits_per_token, gzip_difficulty

__all__ = ["compress_bits_per_token", "gzip_difficulty"]
