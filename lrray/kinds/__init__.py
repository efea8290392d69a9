"""The kinds of study: what one cell of each computes, and how its settings are checked."""
