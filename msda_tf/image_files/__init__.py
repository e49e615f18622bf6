"""PNG and JPEG files on disk."""
