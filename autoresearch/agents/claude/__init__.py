"""Ask a language model for changes through the Messages API."""
