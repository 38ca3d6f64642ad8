"""Speak the Messages API: Anthropic's, or any server that has it."""
