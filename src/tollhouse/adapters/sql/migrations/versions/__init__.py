"""One file per step. Only additions: an older process may still be at work on a newer schema."""
