"""The client of a served model: REST and gRPC."""
