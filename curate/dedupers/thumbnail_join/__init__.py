"""The self-join of perceptual vectors."""
