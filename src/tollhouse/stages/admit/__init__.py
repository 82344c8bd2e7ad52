"""Whether this principal may ask for this, and whether it can be paid for."""

from .admission import Admission
from .labels import end_user_of, tags_of
from .permission import admit, passthrough_scope
from .prices import Prices

__all__ = ["Admission", "Prices", "admit", "end_user_of", "passthrough_scope", "tags_of"]
