"""Who else hears of a running cell: W&B, TensorBoard, Ray's gauges."""
