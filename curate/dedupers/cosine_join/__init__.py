"""The self-join of unit vectors over a cosine threshold."""
