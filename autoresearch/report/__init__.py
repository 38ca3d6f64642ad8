"""Lay out a session as blocks, and render them as HTML, Markdown and charts."""
