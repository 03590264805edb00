"""Text in pixels: which images are looked at, what is found, and how it is blackened (PS3.15 E.3.1)."""
