"""One upstream call for an `Idempotency-Key`: its answer is recorded, and given to everybody who asks with the key.

The first to come with a key has the work done, with a `Tape` for its reply; whoever comes with the key while that goes
on, or within a day, is played the same tape. The `ReplayBook` says who is first, and keeps tapes within bounds.
"""

from .book import HEADER, ReplayBook, key_of
from .fingerprint import fingerprint
from .tape import Tape, answer_gone

__all__ = ["HEADER", "ReplayBook", "Tape", "answer_gone", "fingerprint", "key_of"]
