"""Tools of an agent that run a version in a cell, on training rows, before it is proposed."""
