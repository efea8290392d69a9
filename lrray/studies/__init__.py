"""Studies: files that say what to measure, and the machinery that measures it and survives."""
