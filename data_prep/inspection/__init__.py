"""What is worth knowing of a prepared data set before training on it."""
