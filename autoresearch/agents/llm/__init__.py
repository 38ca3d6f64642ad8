"""Ask a language model for changes: one conversation, whatever API its server speaks."""
