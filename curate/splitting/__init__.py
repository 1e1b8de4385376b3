"""Which samples belong together, and which part each group goes to."""
