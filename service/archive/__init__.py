"""The archive: index, blobs and prepared metadata."""
