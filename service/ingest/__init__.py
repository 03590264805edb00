"""Ingest: from the spool to the archive, one row for each step."""
