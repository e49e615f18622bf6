"""Image files in, result files out."""
