"""Who else hears of a running cell: W&B and TensorBoard."""
