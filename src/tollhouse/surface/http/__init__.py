"""The HTTP doors for model calls."""
