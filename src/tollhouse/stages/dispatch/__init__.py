"""Calls upstreams until one answers or the budget of attempts is spent."""

from .answers import Binding
from .dispatcher import Dispatcher
from .next_step import Failure, Step, next_step

__all__ = ["Binding", "Dispatcher", "Failure", "Step", "next_step"]
