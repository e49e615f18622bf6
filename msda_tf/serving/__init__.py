"""The exported model: what it computes, what travels with it, and clients for its server."""
