"""The gateway as running processes: one supervisor, and a process for each role."""
