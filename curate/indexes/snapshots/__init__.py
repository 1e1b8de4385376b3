"""Indexes on disk, and what those over FAISS share."""
