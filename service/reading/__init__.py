"""What comes of readings: how one version differs from another."""
