"""Whether the globs of a key can match any route at all."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

_WILD: Final = re.compile(r"[*?\[]")


class Names:
    """Route names in order, so that a glob is compared with those only that begin as it does."""

    def __init__(self, names: Iterable[str]) -> None:
        everything = sorted(set(names))
        self._exact = [name for name in everything if not name.endswith("*")]
        self._beginnings = [name[:-1] for name in everything if name.endswith("*")]
        self._known: dict[str, bool] = {}

    def has_match(self, glob: str) -> bool:
        """Whether some name, or some name a star route stands for, can be covered by the glob.

        Errs towards True for star routes: there only what stands before the first wildcard is compared.
        """
        if glob not in self._known:
            self._known[glob] = self._matches_star(glob) or self._matches_exact(glob)
        return self._known[glob]

    def _matches_star(self, glob: str) -> bool:
        head = _head(glob)
        is_open = head != glob
        return any(
            head.startswith(beginning) or (is_open and beginning.startswith(head))
            for beginning in self._beginnings
        )

    def _matches_exact(self, glob: str) -> bool:
        head = _head(glob)
        for name in self._exact[bisect_left(self._exact, head) :]:
            if not name.startswith(head):
                return False
            if fnmatchcase(name, glob):
                return True
        return False


def _head(glob: str) -> str:
    wild = _WILD.search(glob)
    return glob[: wild.start()] if wild else glob
