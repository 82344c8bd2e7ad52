"""Tollhouse: one house on the road between applications and model providers."""

__version__ = "0.1.0"
