"""What the transformer text embedders share."""
