"""The report of training studies."""
