"""What a person is shown of a workspace: facts, charts, media, answers to queries."""
