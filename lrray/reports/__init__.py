"""Figures and reports, made from results folders alone."""
