"""A researcher that is a numeric optimiser over the constants of train.py."""
