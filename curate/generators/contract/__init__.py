"""The values of the generators' contract: examples, draws, reports, and the model folder."""
