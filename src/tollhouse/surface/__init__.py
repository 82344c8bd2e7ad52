"""The doors into the process."""
