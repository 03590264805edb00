"""Results on their way out: who releases them, what leaves, and how it comes to the peers."""
