"""A token is never good for more than its key, whatever is asked for."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.client_token import ClientToken
from tollhouse.core.errors import GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.limits import Budget
from tollhouse.stages.authenticate.client_tokens import principal_of
from tollhouse.stages.mint import TokenWish, token_for

NOW = 1_800_000_000.0
GLOBS = st.text(alphabet="ab*?", min_size=1, max_size=4)
SETS = st.lists(GLOBS, min_size=1, max_size=3).map(tuple)
NAMES = ["".join(letters) for length in range(1, 4) for letters in product("ab-", repeat=length)]
MONEY = st.one_of(st.none(), st.integers(1, 5))


@st.composite
def keys(draw: st.DrawFn) -> Principal:
    nanousd = draw(MONEY)
    return Principal(
        key_id="key_1",
        key_name="ci",
        team=None,
        routes=draw(SETS),
        routes_at_most=draw(st.lists(SETS, max_size=2).map(tuple)),
        budget=Budget(nanousd=nanousd * 10**9) if nanousd is not None else None,
        expires_at=draw(st.one_of(st.none(), st.floats(NOW + 1, NOW + 4_000))),
    )


WISHES = st.builds(
    TokenWish,
    routes=st.one_of(st.none(), SETS),
    expires_s=st.one_of(st.none(), st.integers(60, 3_600)),
    max_usd=st.one_of(st.none(), st.integers(1, 5).map(float)),
    max_calls=st.one_of(st.none(), st.integers(1, 5)),
)


def made(wish: TokenWish, key: Principal) -> ClientToken | None:
    try:
        return token_for(wish, key, now=NOW, entropy=bytes(10), era="here")
    except GatewayError:
        return None


def uses(principal: Principal) -> set[str]:
    return {name for name in NAMES if principal.may_use(name)}


@given(keys(), WISHES)
def test_whoever_holds_a_token_may_use_no_route_that_its_key_may_not(key: Principal, wish: TokenWish) -> None:
    token = made(wish, key)
    if token is None:
        return
    holder = principal_of(token, key)
    assert uses(holder) <= uses(key)
    assert all(any(fnmatchcase(name, glob) for glob in token.routes) for name in uses(holder))
    assert holder.expires_at is not None
    assert holder.expires_at <= (key.expires_at or NOW + 3_600)
    assert token.max_nanousd is None or key.budget is None or token.max_nanousd <= key.budget.nanousd
    assert (holder.budget, holder.limits, holder.key_id) == (key.budget, key.limits, key.key_id)


@given(keys(), keys(), WISHES)
def test_the_same_holds_when_the_key_has_been_changed_since(
    key: Principal, changed: Principal, wish: TokenWish
) -> None:
    token = made(wish, key)
    if token is not None:
        assert uses(principal_of(token, changed)) <= uses(changed)


@given(keys())
def test_what_is_not_asked_for_is_the_keys_own(key: Principal) -> None:
    token = made(TokenWish(), key)
    assert token is not None
    assert uses(principal_of(token, key)) == uses(key)


@given(keys(), WISHES)
def test_token_says_where_it_is_counted_if_it_is(key: Principal, wish: TokenWish) -> None:
    token = made(wish, key)
    if token is not None:
        assert (token.counted_in is not None) is (wish.max_calls is not None)
        assert len(msgspec.msgpack.encode(token)) < 200
