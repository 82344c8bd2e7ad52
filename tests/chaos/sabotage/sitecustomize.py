"""Python imports this at its start where this folder is on its path: so the house is broken without knowing of it."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

if os.environ.get("CHAOS_FAILPOINTS"):
    from chaos.sabotage import failpoints

    failpoints.install(os.environ["CHAOS_FAILPOINTS"])

_name = os.environ.get("CHAOS_SABOTAGE")
if _name:
    try:
        from chaos.sabotage.breakages import BREAKAGES

        BREAKAGES[_name]()
    except Exception as error:
        # The house starts unbroken; the rig sees that the mark is missing.
        print(f"sabotage {_name!r} failed: {type(error).__name__}: {error}", file=sys.stderr)
    else:
        with open(os.environ["CHAOS_SABOTAGE_MARK"], "a") as mark:
            mark.write(f"{os.getpid()}\n")
