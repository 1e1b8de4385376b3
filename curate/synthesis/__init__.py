"""Drawing samples: what a draw must pass, and the features by which it is judged."""
