"""The report of difficulty studies."""
