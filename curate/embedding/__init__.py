"""Which samples lack a vector, and which embedder makes it."""
