"""Cleaning free text word by word: what is known to be harmless stays, all else goes (PS3.15 E.3.5)."""
