"""Store versions of train.py as git commits without touching the checkout."""
