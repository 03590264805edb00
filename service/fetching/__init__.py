"""Studies fetched from peers: asked for, found, fetched, counted against what the peer has."""
