"""Removal of recognizable visual features from head CT and MR (PS3.15 E.3.2): off unless a profile asks for it."""
