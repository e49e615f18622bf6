"""Label files and what their values mean."""
