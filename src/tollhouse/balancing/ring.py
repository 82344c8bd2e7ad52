"""Consistent hashing: which deployment a session belongs to, whoever asks, and whoever else comes or goes."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

_POINTS: Final = 64
"""Of a deployment with the reference weight: shares are off by about an eighth."""
_DIGEST: Final = struct.Struct("<16I")
_OWNER_BITS: Final = 20
_OWNER: Final = (1 << _OWNER_BITS) - 1
_STEPS: Final = 4
"""Points looked at for each owner wanted."""
_MOST_WALKS: Final = 2048


class Ring:
    """Each deployment owns points on a circle, more of them the heavier it is; a session belongs to the next point.

    A deployment that comes or goes moves only the sessions that become its own, or were. Weights are taken relative to
    the greatest power of two that one of them reaches, so the number of points is bounded whatever the weights; only
    crossing that power moves more.
    """

    __slots__ = ("_points", "_size", "_walks")

    def __init__(self, ids: Sequence[str], weights: Sequence[int]) -> None:
        """Raises: ValueError beyond a million deployments."""
        if len(ids) > _OWNER:
            raise ValueError("a ring holds at most 1,048,575 deployments")
        reference = 1 << (max(weights, default=1).bit_length() - 1)
        points: list[int] = []
        for owner, (id_, weight) in enumerate(zip(ids, weights, strict=True)):
            count = max(1, round(_POINTS * weight / reference))
            points += [point << _OWNER_BITS | owner for point in _points_of(id_, count)]
        points.sort()
        self._points = array("Q", points)
        self._size = len(ids)
        self._walks: dict[tuple[int, int], tuple[int, ...]] = {}
        """By the point they begin at, where there are few of those."""

    def walk(self, session: bytes, most: int) -> tuple[int, ...]:
        """The session's owner and those that follow it on the circle, each once: `most` of them, or all.

        Those that lie too far away on the circle come last, as they stand.
        """
        place = bisect_left(self._points, _point_of(session) << _OWNER_BITS)
        walk = self._walks.get((place, most))
        if walk is None:
            walk = self._walk(place, most)
            if len(self._points) <= _MOST_WALKS:
                self._walks[place, most] = walk
        return walk

    def _walk(self, place: int, most: int) -> tuple[int, ...]:
        points = self._points
        length = len(points)
        owners: dict[int, None] = {}
        for step in range(place, place + min(length, most * _STEPS)):
            owners[points[step if step < length else step - length] & _OWNER] = None
            if len(owners) == most:
                return tuple(owners)
        rest = [owner for owner in range(min(self._size, most)) if owner not in owners]
        return (*owners, *rest)[:most]


def _point_of(session: bytes) -> int:
    return int.from_bytes(blake2b(session, digest_size=4).digest(), "little")


def _points_of(id_: str, count: int) -> list[int]:
    name = id_.encode(errors="surrogatepass")
    points: list[int] = []
    for number in range((count + 15) // 16):
        points += _DIGEST.unpack(blake2b(name, digest_size=64, salt=number.to_bytes(4, "little")).digest())
    return points[:count]
