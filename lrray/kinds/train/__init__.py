"""Kind ``train``: models trained on the graphs of matched pairs."""
