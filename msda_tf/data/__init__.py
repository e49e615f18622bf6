"""Reading prepared data sets: records, manifests and input pipelines."""
