"""What parts two texts that a model takes for one: facts that differ, words that differ, an order that differs."""
