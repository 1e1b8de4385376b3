"""Classifiers, features and distances, for the metrics that probe samples."""
