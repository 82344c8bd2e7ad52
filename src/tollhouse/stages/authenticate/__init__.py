"""Who calls: from the text of a pass to a principal, without asking anybody.

Everything needed is in memory. A text that cannot be one of our keys is refused before it is even hashed; "I cannot
check" is never told as "you may not".
"""

from .certificates import TrustedCertificates
from .digests import LONGEST_KEY_BYTES, key_digest, pepper_of
from .entry import Declared, Entry, entries_of
from .issuers import TrustedIssuers
from .keyring import Keyring
from .presented import authenticate, presented_key
from .refusals import KeyRefused

__all__ = [
    "LONGEST_KEY_BYTES",
    "Declared",
    "Entry",
    "KeyRefused",
    "Keyring",
    "TrustedCertificates",
    "TrustedIssuers",
    "authenticate",
    "entries_of",
    "key_digest",
    "pepper_of",
    "presented_key",
]
