"""Where secrets are read from, one file for each scheme of references. Used by the keeper and by commands, never by
workers; the sources that need more than the standard library are imported by file, where a reference names them."""

from .env import EnvSecrets
from .file import FileSecrets
from .sound import sound_secret

__all__ = ["EnvSecrets", "FileSecrets", "sound_secret"]
