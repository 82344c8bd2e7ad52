"""Processes: the keeper, its workers, and what they tell each other."""
