"""Columns, files and names, the same in every format."""
