"""The guarded fetcher: what callers name by URL, for upstreams that take bytes only, and nothing it should not get."""

from .fetcher import GuardedFetcher

__all__ = ["GuardedFetcher"]
