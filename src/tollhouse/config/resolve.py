"""Turns references into secrets, and tells all that cannot be turned at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tollhouse.core.problem import ConfigProblem, Severity
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSource, SecretUnavailable


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    secrets: Mapping[str, Secret]
    """By reference; those that could be resolved."""
    problems: tuple[ConfigProblem, ...]
    """An error for each path whose reference could not be, a warning for each that should lie safer."""

    @property
    def is_complete(self) -> bool:
        """Whether every reference was resolved."""
        return all(problem.severity is Severity.WARNING for problem in self.problems)


def resolve_all(references: Iterable[tuple[str, str]], sources: Iterable[SecretSource]) -> Resolution:
    """The secrets behind `(path, reference)` pairs, see tree.references. Each reference is read once."""
    by_scheme = {source.scheme: source for source in sources}
    secrets: dict[str, Secret] = {}
    faults: dict[str, tuple[str, Severity]] = {}
    problems = []
    for path, reference in references:
        if reference not in secrets and reference not in faults:
            _resolve(reference, by_scheme, secrets, faults)
        if reference in faults:
            message, severity = faults[reference]
            problems.append(ConfigProblem(path=path, message=message, severity=severity))
    return Resolution(secrets=secrets, problems=tuple(problems))


def _resolve(
    reference: str,
    sources: Mapping[str, SecretSource],
    secrets: dict[str, Secret],
    faults: dict[str, tuple[str, Severity]],
) -> None:
    scheme, _, rest = reference.partition(":")
    source = sources.get(scheme)
    if source is None:
        faults[reference] = "Nothing here reads secrets of this scheme.", Severity.ERROR
        return
    try:
        secrets[reference] = source.resolve(rest)
    except SecretUnavailable as error:
        faults[reference] = str(error), Severity.ERROR
        return
    if caution := source.caution(rest):
        faults[reference] = caution, Severity.WARNING
