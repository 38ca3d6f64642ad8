"""Trials on the nodes of a Ray cluster: orders go out, results come back."""
