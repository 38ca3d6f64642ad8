"""Optimise the constants of train.py numerically."""
