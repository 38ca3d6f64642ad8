"""The pages of `autoresearch serve`: the report and what belongs to it, live and read-only, for a browser here."""
