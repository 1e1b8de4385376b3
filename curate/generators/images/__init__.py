"""What the image generators share."""
