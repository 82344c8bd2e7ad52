"""The ground every dialect stands on: decoding with patience, what refusals mean, counting, watching event streams."""
