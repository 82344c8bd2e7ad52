"""One folder per wire API."""
