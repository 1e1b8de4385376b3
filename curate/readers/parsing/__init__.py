"""What several readers share once a stream is open."""
