"""Measure one version of train.py: train it in a cell, then score it in fresh cells."""
