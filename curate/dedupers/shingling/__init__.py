"""MinHash over shingles: cutting, sketching, candidate buckets."""
