"""Speak Chat Completions: OpenAI's API, which most other servers of models have too."""
