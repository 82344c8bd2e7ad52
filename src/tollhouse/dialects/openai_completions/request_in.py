"""Requests of callers, as one question to a model that converses.

A conversation cannot do all that a completion could: continue several prompts, or tokens, insert text, say the prompt
again, choose the best of several answers. Asked for one of these, the call is refused by name.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.content import Message, Role, Text
from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.request import ModelRequest
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.openai_family.sampling import ignore_stream_members, read_end_user, read_sampling
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers

_HINT: Final = "Leave it out, use /v1/chat/completions, or ask for a model that has a completions endpoint."


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request. Raises: GatewayError `unsupported_parameter` besides."""
    leftovers = Leftovers()
    with told_to_callers():
        request = _request(Fields(decoded(call.body), "", leftovers), call)
    return request, leftovers.paths()


def unsupported(message: str, param: str | None) -> GatewayError:
    """What a conversation cannot do."""
    return GatewayError(ErrorKind.UNSUPPORTED_PARAMETER, message, blame=Blame.CLIENT, param=param, hint=_HINT)


def _request(fields: Fields, call: ClientCall) -> ModelRequest:
    ignore_stream_members(fields)
    _refuse_the_impossible(fields)
    fields.ignore_if("store", False)  # noqa: FBT003 - the value
    top_logprobs = fields.take_integer("logprobs")
    return ModelRequest(
        model=call.model,
        messages=(Message(role=Role.USER, parts=(Text(text=_prompt(fields)),)),),
        sampling=read_sampling(
            fields, logprobs=True if top_logprobs is not None else None, top_logprobs=top_logprobs or None
        ),
        max_output_tokens=fields.take_integer("max_tokens"),
        stream=call.is_stream,
        end_user=read_end_user(fields),
    )


def _refuse_the_impossible(fields: Fields) -> None:
    fields.ignore_if("suffix", "")
    fields.ignore_if("echo", False)  # noqa: FBT003 - the value
    fields.ignore_if("best_of", 1, fields.peek("n"))
    for name, what in (
        ("suffix", "insert text before a suffix"),
        ("echo", "give the prompt back"),
        ("best_of", "choose the best of several answers"),
    ):
        if name in fields:
            raise unsupported(f"The route's models converse: they cannot {what} (`{name}`).", name)


def _prompt(fields: Fields) -> str:
    prompt = fields.take("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list) and prompt:
        what = "several prompts at once" if all(isinstance(text, str) for text in prompt) else "tokens"
        raise unsupported(f"The route's models converse: they cannot take {what} (`prompt`).", "prompt")
    raise invalid_request(
        "`prompt` must be a text for the route's models.",
        param="prompt",
        hint="Send `prompt` as a string, or as a list of one string.",
    )
