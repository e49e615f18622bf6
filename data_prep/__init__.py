"""Converters: raw data sets on disk to TFRecord shards."""
