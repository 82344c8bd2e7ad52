"""Calls upstreams until one answers or the budget of attempts is spent."""

from .answers import Binding
from .dispatcher import Dispatcher
from .next_step import Failure, Step, first_choice, next_step
from .turnstile import Turnstile

__all__ = ["Binding", "Dispatcher", "Failure", "Step", "Turnstile", "first_choice", "next_step"]
