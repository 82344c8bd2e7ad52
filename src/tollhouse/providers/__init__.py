"""A provider is data: one small file each."""
