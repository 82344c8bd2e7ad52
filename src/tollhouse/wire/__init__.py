"""Framing of bytes without I/O and without knowledge of models."""
