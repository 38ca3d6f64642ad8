"""Machine-learning research on one GPU while its user sleeps."""

__version__ = "0.12.0"
