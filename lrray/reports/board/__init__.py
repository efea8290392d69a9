"""``lrray board``: one local, read-only page over a results folder."""
