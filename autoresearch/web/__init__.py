"""Serve read-only pages to browsers on this machine: the report, live, and more."""
