"""Metrics for Prometheus: a sink that counts exchanges, and the text a scraper reads."""

from .sink import PrometheusSink

__all__ = ["PrometheusSink"]
