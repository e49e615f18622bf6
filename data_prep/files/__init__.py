"""Finding and pairing raw files, and reading their descriptions."""
