"""The most that one attempt of a call can cost: a true bound, because a hard budget is charged with it.

A token of text is at least one byte. What is not in the body, or small in it, is bounded by the model's window or by
the most that it is billed as, and what has no bound or no known price is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollhouse.core.money import bound_nanousd
from tollhouse.core.routing import Candidate, Price

from .asked import Asked
from .beyond import HIDDEN_PROMPT_TOKENS, NOTHING, Beyond, most_picture_tokens
from .prices import Prices
from .refusals import no_bound, price_unknown, unpriced

_SOUND_IS_TEXT: Final = frozenset(["gemini", "vertex"])
"""Whose models without a price for sound take it at that for text."""


class Bounds:
    """By the prices of one configuration."""

    __slots__ = ("_prices",)

    def __init__(self, prices: Prices) -> None:
        self._prices = prices

    def of(self, ask: Asked, candidates: Sequence[Candidate], *, is_hard: bool) -> int:
        """In nano-USD, whoever of the candidates answers; for a soft budget what is known of it.

        Raises: GatewayError `model_price_unknown`, `invalid_request` where there is no bound.
        """
        dearest = 0
        for candidate in candidates:
            price = self._prices.of(candidate)
            output_tokens = ask.most_output_tokens(candidate.deployment.max_output_tokens)
            input_tokens = self._most_input_tokens(ask, candidate)
            bound = None
            if price is not None and input_tokens is not None and output_tokens is not None:
                bound = bound_nanousd(
                    price, input_tokens=input_tokens, output_tokens=output_tokens, has_rare=ask.beyond.is_rare
                )
            if bound is not None:
                dearest = max(dearest, bound)
            elif is_hard:
                raise price_unknown(candidate) if price is None else no_bound(candidate, output_tokens)
            if is_hard and price is not None:
                self._check_priced(ask.beyond, candidate, price)
        return dearest

    def tokens(self, ask: Asked, candidates: Sequence[Candidate]) -> int:
        """Of input and output together, whoever of the candidates answers.

        Raises: GatewayError `invalid_request` where there is no bound.
        """
        if ask.is_free:
            return 0
        most = 0
        for candidate in candidates:
            output_tokens = ask.most_output_tokens(candidate.deployment.max_output_tokens)
            input_tokens = self._most_input_tokens(ask, candidate)
            if input_tokens is None or output_tokens is None:
                raise no_bound(candidate, output_tokens)
            most = max(most, input_tokens + output_tokens)
        return most

    def _check_priced(self, beyond: Beyond, candidate: Candidate, price: Price) -> None:
        """Raises: GatewayError `model_price_unknown` for what is billed by other prices than are known."""
        own = candidate.deployment.price
        if own is not None and not (own.input_per_million_nanousd or own.output_per_million_nanousd):
            return  # whatever it is asked for, it costs nothing
        if beyond.unpriced is not None:
            raise unpriced(beyond.unpriced, candidate)
        if own is not None:
            return
        if beyond.speaks and price.audio_output_per_million_nanousd is None:
            raise unpriced("an answer in sound", candidate)
        is_one_price = self._prices.kind_of(candidate) in _SOUND_IS_TEXT
        if beyond.hears and price.audio_input_per_million_nanousd is None and not is_one_price:
            raise unpriced("sound", candidate)

    def _most_input_tokens(self, ask: Asked, candidate: Candidate) -> int | None:
        """None where nobody knows."""
        more = ask.beyond
        if more is NOTHING:
            return ask.body_bytes
        prompts = more.prompts + (self._prices.kind_of(candidate) == "cohere")
        tokens = ask.body_bytes + more.input_tokens + prompts * HIDDEN_PROMPT_TOKENS
        if not (more.is_elsewhere or more.pictures):
            return tokens
        window = self._prices.window_tokens(candidate)
        if window is not None:
            window = max(window, more.least_window_tokens)
        if more.is_elsewhere:
            return max(window, tokens) if window is not None else None
        pictured = tokens + more.pictures * most_picture_tokens(candidate.model)
        return pictured if window is None else min(pictured, window)
