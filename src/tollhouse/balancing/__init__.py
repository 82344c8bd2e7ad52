"""What is known of each deployment right now, and the choice among them: pure, time and chance are arguments.

A `Standing` is what calls have taught about one deployment: its breakers, whether it is rate limited, how many calls it
takes at once, how soon it answers. `Standings` holds them over reloads of the configuration. A `Choice` puts the
deployments of a route in the order to be tried.
"""

from .breaker import State
from .choice import Choice, blended_price
from .health import Checked
from .standing import Permit, Standing
from .standings import Standings
from .verdict import Refusal, Shut, Verdict
from .view import KindView, StandingView

__all__ = [
    "Checked",
    "Choice",
    "KindView",
    "Permit",
    "Refusal",
    "Shut",
    "Standing",
    "StandingView",
    "Standings",
    "State",
    "Verdict",
    "blended_price",
]
