"""Apache Beam: the same work on many machines. Only what is run with a runner loads Beam, an extra of its own."""
