"""Who may do what to whose things."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.authority import (
    RULES,
    TEAM_ROLES,
    Action,
    Actor,
    Grant,
    Place,
    Reach,
    Role,
    forbidden_fields,
    grant_for,
    is_above_all,
    may_ever,
    may_grant,
    view_of,
)

TEAMS = ("a", "b")
ROLES = st.sampled_from(list(Role))
GRANTS = st.builds(
    lambda role, team: Grant(role, team if role in TEAM_ROLES else None), ROLES, st.sampled_from(TEAMS)
)
ACTORS = st.builds(
    lambda grants: Actor(id="me", name="me", grants=tuple(grants)), st.lists(GRANTS, max_size=3)
)
PLACES = st.builds(
    lambda teams, account: Place(teams=frozenset(teams), account=account),
    st.lists(st.sampled_from(TEAMS), max_size=2),
    st.sampled_from([None, "me", "you"]),
)
ACTIONS = st.sampled_from(list(Action))
AUDITOR = Actor(id="me", name="me", grants=(Grant(Role.AUDITOR),))
WRITES = {action for action, rule in RULES.items() if rule.fields} | {
    action
    for action in Action
    if action.value.endswith((".disable", ".enable", ".revoke", ".delete", ".resume", ".reload"))
}


def test_every_action_has_a_rule() -> None:
    assert set(RULES) == set(Action)


def test_auditor_reads_everything_and_changes_nothing() -> None:
    assert {action for action in Action if may_ever(AUDITOR, action)} == set(Action) - WRITES


@given(ACTORS, ACTIONS, PLACES)
def test_what_is_shown_in_a_list_can_be_got_by_itself(actor: Actor, action: Action, place: Place) -> None:
    """A list never shows what asking for it by its id would not."""
    if may_ever(actor, action) and view_of(actor, action).shows(place):
        teams_of_mine = {grant.team for grant in actor.grants}
        is_own_elsewhere = place.account == "me" and place.teams.isdisjoint(teams_of_mine)
        assert grant_for(actor, action, place) is not None or is_own_elsewhere


@given(ACTORS, ACTIONS, PLACES)
def test_nobody_reaches_what_is_in_another_team_and_not_their_own(
    actor: Actor, action: Action, place: Place
) -> None:
    grant = grant_for(actor, action, place)
    if grant is not None and RULES[action].reach[grant.role] is not Reach.HOUSE:
        assert grant.team in place.teams or (place.account == "me" and not place.teams)


@given(ACTORS, GRANTS)
def test_role_that_is_granted_never_lets_more_than_those_of_whoever_granted_it(
    actor: Actor, granted: Grant
) -> None:
    if not may_grant(actor, granted):
        return
    other = Actor(id="me", name="you", grants=(granted,))
    for action in Action:
        for place in (
            Place(teams=frozenset(["a"])),
            Place(teams=frozenset(["b"])),
            Place(teams=frozenset()),
            Place(account="x"),
        ):
            theirs = grant_for(other, action, place)
            if theirs is not None:
                ours = grant_for(actor, action, place)
                assert ours is not None, (action, place)
                fields = RULES[action].fields.get(theirs.role, frozenset()) - {"*"}
                assert forbidden_fields(ours, action, fields) == ()


@given(ACTORS, st.lists(GRANTS, max_size=4))
def test_chain_of_grants_never_comes_to_more_than_its_beginning(actor: Actor, grants: list[Grant]) -> None:
    first = actor
    for granted in grants:
        if may_grant(actor, granted):
            assert may_grant(first, granted)
            actor = Actor(id="next", name="next", grants=(granted,))


@given(st.lists(GRANTS, max_size=3))
def test_whoever_holds_less_cannot_act_on_an_owner(grants: list[Grant]) -> None:
    actor = Actor(id="me", name="me", grants=tuple(grants))
    is_owner = any(grant.role is Role.OWNER for grant in grants)
    assert is_above_all(actor, [Grant(Role.OWNER)]) == is_owner


def test_strongest_of_several_roles_counts() -> None:
    actor = Actor(
        id="me", name="me", grants=(Grant(Role.MEMBER, "a"), Grant(Role.AUDITOR), Grant(Role.TEAM_ADMIN, "b"))
    )
    assert grant_for(actor, Action.KEYS_GET, Place(teams=frozenset(["b"]))) == Grant(Role.AUDITOR)
    assert grant_for(actor, Action.KEYS_CHANGE, Place(teams=frozenset(["b"]))) == Grant(Role.TEAM_ADMIN, "b")
    assert grant_for(actor, Action.KEYS_CHANGE, Place(teams=frozenset(["a"]))) is None
