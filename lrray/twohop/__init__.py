"""Semi-synthetic two-hop reasoning: facts, datasets, grading, fine-tuning and the gap."""
