"""Where cells run: Ray, its trials and what wraps a cell inside one."""
