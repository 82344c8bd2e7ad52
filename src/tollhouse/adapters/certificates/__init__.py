"""X.509 certificates, read with cryptography. Loaded only where callers are known by one."""

from .pem import read_escaped

__all__ = ["read_escaped"]
