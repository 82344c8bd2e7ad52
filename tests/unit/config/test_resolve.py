from __future__ import annotations

from tollhouse.config.resolve import resolve_all
from tollhouse.core.problem import Severity
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSource, SecretUnavailable


class Drawer:
    """A source of secrets that counts how often it is opened."""

    scheme = "env"

    def __init__(self, **content: str) -> None:
        self.content = content
        self.opened: list[str] = []

    def resolve(self, rest: str) -> Secret:
        self.opened.append(rest)
        if rest not in self.content:
            raise SecretUnavailable(f"{rest} is not in the drawer.")
        return Secret(self.content[rest])

    def caution(self, rest: str) -> str | None:
        return "The drawer is open." if rest == "OPEN" else None


def test_secrets_are_found_by_their_reference() -> None:
    source: SecretSource = Drawer(A="one", B="two")
    found = resolve_all([("providers.a.credential", "env:A"), ("providers.b.credential", "env:B")], [source])
    assert {reference: secret.reveal() for reference, secret in found.secrets.items()} == {
        "env:A": "one",
        "env:B": "two",
    }
    assert found.problems == ()
    assert found.is_complete


def test_all_that_cannot_be_resolved_is_told_at_once() -> None:
    pairs = [("p.a", "env:A"), ("p.b", "env:MISSING"), ("p.c", "vault:x"), ("p.d", "env:MISSING")]
    found = resolve_all(pairs, [Drawer(A="one")])
    assert [(each.path, each.message, each.severity) for each in found.problems] == [
        ("p.b", "MISSING is not in the drawer.", Severity.ERROR),
        ("p.c", "Nothing here reads secrets of this scheme.", Severity.ERROR),
        ("p.d", "MISSING is not in the drawer.", Severity.ERROR),
    ]
    assert list(found.secrets) == ["env:A"]
    assert not found.is_complete


def test_caution_is_a_warning_and_the_secret_is_there() -> None:
    found = resolve_all([("p.a", "env:OPEN")], [Drawer(OPEN="one")])
    assert [(each.message, each.severity) for each in found.problems] == [
        ("The drawer is open.", Severity.WARNING)
    ]
    assert found.is_complete
    assert found.secrets["env:OPEN"].reveal() == "one"


def test_reference_is_read_once_when_it_stands_in_several_places() -> None:
    drawer = Drawer(A="one")
    resolve_all([("p.a", "env:A"), ("p.b", "env:A"), ("p.c", "env:B"), ("p.d", "env:B")], [drawer])
    assert drawer.opened == ["A", "B"]


def test_resolution_shows_no_secret() -> None:
    assert "s3cret" not in repr(resolve_all([("p.a", "env:A")], [Drawer(A="s3cret")]))
