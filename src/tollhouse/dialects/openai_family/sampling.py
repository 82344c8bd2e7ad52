"""Members of requests that chat and text completions share."""

from __future__ import annotations

from tollhouse.core.request import Sampling
from tollhouse.wire.json_fields import Fields, WrongType


def read_sampling(fields: Fields, *, logprobs: bool | None, top_logprobs: int | None) -> Sampling:
    """Raises: WrongType."""
    fields.ignore_if("frequency_penalty", 0)
    fields.ignore_if("presence_penalty", 0)
    fields.ignore_if("n", 1)
    fields.ignore_if("logit_bias", {})
    seed = fields.take_integer("seed")
    return Sampling(
        temperature=fields.take_number("temperature"),
        top_p=fields.take_number("top_p"),
        top_k=fields.take_integer("top_k"),
        frequency_penalty=fields.take_number("frequency_penalty"),
        presence_penalty=fields.take_number("presence_penalty"),
        seed=seed if seed is not None else fields.take_integer("random_seed"),  # Mistral's name
        stop=_stop(fields),
        n=fields.take_integer("n"),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        logit_bias=_logit_bias(fields),
    )


def read_end_user(fields: Fields) -> str | None:
    """`safety_identifier` takes the place of `user`, which is left over where both are given."""
    named = fields.take_text("safety_identifier")
    return named if named is not None else fields.take_text("user")


def ignore_stream_members(fields: Fields) -> None:
    """What the call itself already says."""
    fields.ignore("model", "stream")
    options = fields.take_fields("stream_options")
    if options is not None:
        options.ignore("include_usage", "include_obfuscation")


def _stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.take("stop")
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(text, str) for text in stops):
        raise WrongType(fields.of("stop"), "a string or a list of strings")
    return tuple(stops)


def _logit_bias(fields: Fields) -> dict[str, float] | None:
    bias = fields.take_dict("logit_bias")
    for token, value in (bias or {}).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongType(f"{fields.of('logit_bias')}.{token}", "a number")
    return bias
