"""The report of two-hop studies."""
