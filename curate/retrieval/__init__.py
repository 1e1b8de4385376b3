"""Asking: SQL over the catalog, and the samples nearest to something."""
