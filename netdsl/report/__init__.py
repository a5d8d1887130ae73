"""What is said of a net: where its numbers come from, and what others say of it."""
