"""The public kit for tests: a scripted upstream."""
