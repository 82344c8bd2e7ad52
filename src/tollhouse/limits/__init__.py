"""Limits and budgets as arithmetic: which counters a call is charged to, and how each of them counts.

Pure: the time is passed in. The counters here are those of one process; an adapter that shares them among many keeps
the same promises elsewhere.
"""
