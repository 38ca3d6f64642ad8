"""Print to a terminal with rich."""
