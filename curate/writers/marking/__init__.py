"""How synthetic images are marked in their files."""
