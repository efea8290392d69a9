"""The report of any grid of cells."""
