"""The upstream HTTP/1.1 transport: llhttp over the event loop's connections, with the standard library's TLS."""

from .limits import Limits
from .transport import Http1Transport

__all__ = ["Http1Transport", "Limits"]
