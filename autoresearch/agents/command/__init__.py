"""Run a coding agent as a command in a cell."""
