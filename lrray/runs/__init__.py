"""One way to run a study, for the command line and for Python."""
