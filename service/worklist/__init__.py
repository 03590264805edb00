"""Work items (Unified Procedure Steps): what is to be done, who is at it, and who is told (PS3.4 Annex CC)."""
