"""What every family shares while it trains: loop, checkpoints, repeatable order, model folder."""
