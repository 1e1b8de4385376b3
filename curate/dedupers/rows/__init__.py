"""Rows as the dedupers share them: equal ones, and working arrays for them."""
