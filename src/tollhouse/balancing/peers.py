"""Who else could answer: the bound on how many deployments of a route may be out at once."""

from __future__ import annotations

from collections.abc import Sequence

from tollhouse.core.operation import Operation


class Group:
    """The deployments of one route, and how many of them are out for which kind of call.

    A deployment of the model `*` is another one for each name that the route's star matched, so those are counted by
    that name; the name is empty for deployments whose model is written down.
    """

    __slots__ = ("_out", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._out: dict[tuple[Operation, str], int] = {}

    def may_eject(self, kind: Operation, star: str, most_percent: float) -> bool:
        """Whether one more may go out as an outlier: one may in any case, where there are others."""
        if self.size < 2:
            return False
        return self._count(kind, star) < max(1, int(self.size * most_percent / 100))

    def change(self, kind: Operation, star: str, by: int) -> None:
        count = self._out.get((kind, star), 0) + by
        if count:
            self._out[kind, star] = count
        else:
            self._out.pop((kind, star), None)  # bounded: what is not out takes no place

    def _count(self, kind: Operation, star: str) -> int:
        written = self._out.get((kind, ""), 0)
        if star:
            return written + self._out.get((kind, star), 0)
        matched = [count for (of, name), count in self._out.items() if name and of is kind]
        return written + max(matched, default=0)


class Peers:
    """The groups that one deployment is in."""

    __slots__ = ("_groups", "_star")

    def __init__(self, groups: Sequence[Group] = (), star: str = "") -> None:
        self._groups = tuple(groups)
        self._star = star

    def may_eject(self, kind: Operation, most_percent: float) -> bool:
        """Whether every group can do without it. Nobody is an outlier who has no peers."""
        if not self._groups:
            return False
        return all(group.may_eject(kind, self._star, most_percent) for group in self._groups)

    def out(self, kind: Operation) -> None:
        for group in self._groups:
            group.change(kind, self._star, 1)

    def back(self, kind: Operation) -> None:
        for group in self._groups:
            group.change(kind, self._star, -1)
