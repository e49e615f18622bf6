"""The report: one HTML page of what runs learned, which needs no other file and no network."""
