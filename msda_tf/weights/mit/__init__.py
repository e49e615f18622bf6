"""Weights of MiT, SegFormer's encoder."""
