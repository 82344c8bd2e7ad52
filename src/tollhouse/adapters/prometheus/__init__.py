"""Metrics for Prometheus: a sink that counts exchanges, and the text a scraper reads."""

from .deployments import deployment_families
from .families import Family
from .sink import PrometheusSink

__all__ = ["Family", "PrometheusSink", "deployment_families"]
