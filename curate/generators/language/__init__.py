"""What the language models share."""
