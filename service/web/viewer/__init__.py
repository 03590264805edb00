"""OHIF, served as it comes from npm, with a generated configuration."""
