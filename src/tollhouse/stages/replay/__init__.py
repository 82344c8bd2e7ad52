"""One upstream call for an `Idempotency-Key`: its answer is recorded, and given to everybody who asks with the key.

The first to come with a key has the work done, with a `Tape` for its reply; whoever comes with the key while that goes
on, or within a day, is played the same tape. The `ReplayBook` says who is first here, and keeps tapes within bounds;
`Elsewhere` asks what other workers know of the key.
"""

from .book import HEADER, ReplayBook, key_of
from .elsewhere import Elsewhere
from .fingerprint import fingerprint
from .tape import Tape, answer_gone

__all__ = ["HEADER", "Elsewhere", "ReplayBook", "Tape", "answer_gone", "fingerprint", "key_of"]
