"""Secrets from the environment and from files."""

from .env import EnvSecrets
from .file import FileSecrets

__all__ = ["EnvSecrets", "FileSecrets"]
