"""From curated samples to a folder that a trainer reads, and back to the same folder when nothing changed."""
