"""From an image file to a perceptual vector."""
