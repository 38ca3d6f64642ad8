"""Researchers: whoever proposes the next version of train.py."""
