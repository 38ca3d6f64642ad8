"""A researcher that calls a language model through the Messages API."""
