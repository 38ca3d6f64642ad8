"""Agents that propose the next version of train.py."""
