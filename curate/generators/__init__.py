"""Generators learn from one part of a frozen split and draw labelled samples."""
