"""What the node answers from the archive: query, retrieve, storage commitment."""
