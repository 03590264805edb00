"""Work that waits: study completeness and annotator runs."""
