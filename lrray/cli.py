"""The ``lrray`` console script."""
