"""Versions of what readers and models said: filed as they come, listed, fetched, compared, restored."""
