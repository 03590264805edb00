"""Annogate: an annotation gateway between a PACS and its readers and models."""

__version__ = "0.1.0"
