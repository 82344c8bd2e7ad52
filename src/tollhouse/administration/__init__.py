"""The operator's work on the house: keys, teams, people, pauses, and the log of all of it.

Commands over a port: who may do it, what it changes, and the row of the audit log are one transaction of the store.
The admin API and the command line both come here, so that there is one behaviour.
"""

from .administration import Administration, Rest, refusal_of
from .case import Case
from .errand import Answer, Errand, Tools, no_sign_on
from .handlers import HANDLERS, Handler

__all__ = [
    "HANDLERS",
    "Administration",
    "Answer",
    "Case",
    "Errand",
    "Handler",
    "Rest",
    "Tools",
    "no_sign_on",
    "refusal_of",
]
