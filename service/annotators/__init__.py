"""What marks images."""
