"""Watching: what is patched, and what is noted of each call."""
