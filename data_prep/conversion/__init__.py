"""Raw data sets to shards: in parallel, restartable, never half-written."""
