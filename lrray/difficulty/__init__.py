"""Difficulty of token sequences: compressors, entropy, estimates over kernel draws."""
