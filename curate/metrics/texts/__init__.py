"""Words, spans and a byte model, for the metrics of texts."""
