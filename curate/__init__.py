"""`curate`: data curation and synthesis over one DuckDB catalog."""

__version__ = "0.1.0"
