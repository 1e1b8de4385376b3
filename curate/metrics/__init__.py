"""Metrics measure what synthetic samples are worth, always beside a real-against-real reference."""
