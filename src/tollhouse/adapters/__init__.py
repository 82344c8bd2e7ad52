"""Implementations of ports, one package per technology. Imported by bootstrap only."""
