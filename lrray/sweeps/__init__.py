"""Studies as W&B sweeps, and back."""
