"""The catalogue of faults, run against a real house: `make chaos`."""
