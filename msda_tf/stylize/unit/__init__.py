"""UNIT's networks."""
