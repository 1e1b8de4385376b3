"""From records to samples: which fields count, what a sample's identity is, and how a batch is committed."""
