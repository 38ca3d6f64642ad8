"""Answer questions about the text of train.py without running it."""
