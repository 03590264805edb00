"""Who looks after the vault: the way back of results, patients with several ids, crosswalks, keys."""
