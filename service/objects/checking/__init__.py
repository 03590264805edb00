"""What objects are held against, from the attributes of their IOD to what their numbers say of their masks."""
