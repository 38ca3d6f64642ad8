"""Run a session: the loop, the trials, and what keeps them alive."""
