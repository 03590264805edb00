"""The demonstration: the main job, end to end, through real sockets."""
