"""Search spaces: all nets of a spec with open decisions at once, as the paths of a small graph."""
