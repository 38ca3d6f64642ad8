"""A researcher that is a coding agent, run as a command in a cell."""
