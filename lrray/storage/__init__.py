"""The copy of a run's folder in a bucket, for nodes that share no disk."""
