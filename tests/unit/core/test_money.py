"""What a call costs is exact, what it can cost at most is never less, and what nobody knows is neither."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.core.money import bound_nanousd, cost_nanousd
from tollhouse.core.routing import Price, Tier
from tollhouse.core.usage import Usage

MILLION = 1_000_000
NANO = 1_000_000_000
amounts = st.integers(0, 100 * NANO)
maybe = st.none() | amounts
prices = st.builds(
    Price,
    input_per_million_nanousd=maybe,
    output_per_million_nanousd=maybe,
    cache_read_per_million_nanousd=maybe,
    cache_write_per_million_nanousd=maybe,
    cache_write_1h_per_million_nanousd=maybe,
    audio_input_per_million_nanousd=maybe,
    audio_output_per_million_nanousd=maybe,
)


@st.composite
def tiered(draw: st.DrawFn) -> Price:
    above = sorted(draw(st.sets(st.integers(0, 3 * MILLION), max_size=3)))
    tiers = tuple([Tier(above_input_tokens=tokens, price=draw(prices)) for tokens in above])
    return replace(draw(prices), tiers=tiers)


tokens = st.integers(0, MILLION)
usages = st.builds(
    Usage,
    input_uncached_tokens=tokens,
    input_cache_read_tokens=tokens,
    input_cache_write_5m_tokens=tokens,
    input_cache_write_1h_tokens=tokens,
    input_audio_tokens=tokens,
    input_image_tokens=tokens,
    output_text_tokens=tokens,
    output_reasoning_tokens=tokens,
    output_audio_tokens=tokens,
)
PLAIN = Price(input_per_million_nanousd=2 * NANO, output_per_million_nanousd=10 * NANO)


@given(usages, tiered(), st.integers(0, 1000), st.integers(0, 1000))
def test_no_call_costs_more_than_its_bound(usage: Usage, price: Price, more_in: int, more_out: int) -> None:
    cost = cost_nanousd(usage, price)
    bound = bound_nanousd(
        price, input_tokens=usage.input_tokens + more_in, output_tokens=usage.output_tokens + more_out
    )
    if bound is not None and cost is not None:
        assert cost <= bound


@given(usages, tiered())
def test_bound_without_what_is_rare_is_one_for_calls_without_it(usage: Usage, price: Price) -> None:
    usage = replace(usage, input_audio_tokens=0, output_audio_tokens=0, input_cache_write_1h_tokens=0)
    cost = cost_nanousd(usage, price)
    bound = bound_nanousd(
        price, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, has_rare=False
    )
    if bound is not None and cost is not None:
        assert cost <= bound


@given(tiered(), tokens, tokens, tokens, tokens)
def test_bound_never_falls_as_calls_grow(price: Price, a: int, b: int, more_in: int, more_out: int) -> None:
    small = bound_nanousd(price, input_tokens=a, output_tokens=b)
    large = bound_nanousd(price, input_tokens=a + more_in, output_tokens=b + more_out)
    if small is None:
        assert large is None
    elif large is not None:
        assert small <= large


def test_cost_is_rounded_to_the_nearest_and_the_bound_up() -> None:
    price = Price(input_per_million_nanousd=1_499_999, output_per_million_nanousd=0)
    assert cost_nanousd(Usage(input_uncached_tokens=1), price) == 1
    assert bound_nanousd(price, input_tokens=1, output_tokens=0) == 2


def test_kinds_of_tokens_have_their_own_prices() -> None:
    price = Price(
        input_per_million_nanousd=1 * NANO,
        output_per_million_nanousd=10 * NANO,
        cache_read_per_million_nanousd=NANO // 10,
        cache_write_per_million_nanousd=2 * NANO,
        cache_write_1h_per_million_nanousd=3 * NANO,
        audio_input_per_million_nanousd=40 * NANO,
        audio_output_per_million_nanousd=80 * NANO,
    )
    usage = Usage(
        input_uncached_tokens=MILLION,
        input_cache_read_tokens=MILLION,
        input_cache_write_5m_tokens=MILLION,
        input_cache_write_1h_tokens=MILLION,
        input_audio_tokens=MILLION,
        output_text_tokens=MILLION,
        output_reasoning_tokens=MILLION,
        output_audio_tokens=MILLION,
    )
    assert cost_nanousd(usage, price) == (1 + 2 + 3 + 40 + 10 + 10 + 80) * NANO + NANO // 10


def test_kinds_without_a_price_cost_what_they_are_a_kind_of() -> None:
    usage = Usage(
        input_cache_read_tokens=MILLION,
        input_cache_write_1h_tokens=MILLION,
        input_audio_tokens=MILLION,
        input_image_tokens=MILLION,
        output_reasoning_tokens=MILLION,
        output_audio_tokens=MILLION,
    )
    assert cost_nanousd(usage, PLAIN) == (4 * 2 + 2 * 10) * NANO
    written = replace(PLAIN, cache_write_per_million_nanousd=3 * NANO)
    assert cost_nanousd(Usage(input_cache_write_1h_tokens=MILLION), written) == 3 * NANO


def test_price_that_is_not_known_is_not_nothing() -> None:
    assert cost_nanousd(Usage(input_uncached_tokens=1), Price()) is None
    assert cost_nanousd(Usage(output_text_tokens=1), Price(input_per_million_nanousd=1)) is None
    assert bound_nanousd(Price(), input_tokens=0, output_tokens=0) is None
    assert bound_nanousd(Price(input_per_million_nanousd=1), input_tokens=1, output_tokens=1) is None


def test_price_that_is_not_needed_need_not_be_known() -> None:
    embeddings = Price(input_per_million_nanousd=NANO)
    assert cost_nanousd(Usage(input_uncached_tokens=MILLION), embeddings) == NANO
    assert bound_nanousd(embeddings, input_tokens=MILLION, output_tokens=0) == NANO
    assert cost_nanousd(Usage(), Price()) == 0


def test_long_input_makes_the_whole_call_dearer() -> None:
    dear = replace(PLAIN, input_per_million_nanousd=4 * NANO)
    price = replace(PLAIN, tiers=(Tier(above_input_tokens=MILLION, price=dear),))
    at_the_border = Usage(input_uncached_tokens=MILLION)
    above = Usage(input_uncached_tokens=MILLION, input_cache_read_tokens=1)
    assert cost_nanousd(at_the_border, price) == 2 * NANO
    assert cost_nanousd(above, price) == 4 * NANO + 4000
    assert bound_nanousd(price, input_tokens=MILLION + 1, output_tokens=0) == 4 * NANO + 4000


def test_bound_reckons_with_a_tier_that_is_cheaper_than_the_one_before() -> None:
    cheap = replace(PLAIN, output_per_million_nanousd=1 * NANO)
    price = replace(PLAIN, tiers=(Tier(above_input_tokens=10, price=cheap),))
    assert bound_nanousd(price, input_tokens=11, output_tokens=MILLION) == 10 * NANO + 22_000
