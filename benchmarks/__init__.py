"""Benchmarks: each module's ``measure()`` returns rows for ``docs/benchmarks.md``."""
