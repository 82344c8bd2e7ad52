"""The mock's own doors under `/_mock/`, for tests that run in another process. They are open: the mock is no secret.

`GET /_mock/calls` counts the calls and lists those remembered; `POST /_mock/script` queues one script or a list;
`POST /_mock/always` sets the script of every call, `null` takes it back; `POST /_mock/reset` forgets everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from tollhouse.providers.mock.questions import Call, Refused
from tollhouse.providers.mock.received import Received
from tollhouse.providers.mock.script import Script, ScriptRefused, parse

PREFIX: Final = "/_mock/"


class Controlled(Protocol):
    """What can be done to a server from outside."""

    @property
    def count(self) -> int: ...

    @property
    def received(self) -> Sequence[Received]: ...

    def script(self, script: Script) -> None: ...

    def always(self, script: Script | None) -> None: ...

    def reset(self) -> None: ...


def answer(server: Controlled, call: Call) -> bytes:
    """Do what is asked; the JSON that says so. Raises: Refused."""
    door = f"{call.method} {call.path.partition('?')[0].removeprefix(PREFIX)}"
    try:
        match door:
            case "GET calls":
                return msgspec.json.encode(
                    {"count": server.count, "calls": [_line(record) for record in server.received]}
                )
            case "POST script":
                scripts = _scripts(_decoded(call.body))
                for script in scripts:
                    server.script(script)
                return msgspec.json.encode({"queued": len(scripts)})
            case "POST always":
                fields = _decoded(call.body)
                server.always(None if fields is None else parse(fields, place="the body"))
                return b'{"always":%b}' % (b"false" if fields is None else b"true")
            case "POST reset":
                server.reset()
                return b'{"count":0}'
            case _:
                raise Refused(404, f"The mock has no {call.method} {call.path[:200]}.", code="unknown_url")
    except ScriptRefused as refused:
        raise Refused(400, str(refused)) from None


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"The body is not JSON: {error}.") from None


def _scripts(fields: Any) -> list[Script]:
    return [parse(each, place="the body") for each in (fields if isinstance(fields, list) else [fields])]


def _line(record: Received) -> dict[str, Any]:
    """One call as it is told: nothing of headers or body but the test's own marks."""
    line = {
        "number": record.number,
        "connection": record.connection,
        "method": record.method,
        "path": record.path,
        "fate": record.fate,
    }
    marks = {"mock_id": record.mock_id, "user": record.user}
    return line | {name: mark for name, mark in marks.items() if mark is not None}
