"""Writing prepared data sets: images as they are stored, shards whole or not at all, and a folder's state."""
