"""Searches: what is asked, who proposes, and the order in which cells are handed out."""
