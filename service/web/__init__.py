"""The web edge: parse, call one use case, encode."""
