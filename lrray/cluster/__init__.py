"""Studies on a Ray cluster that runs elsewhere: reaching it, submitting, watching, fetching."""
