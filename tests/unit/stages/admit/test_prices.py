"""What the operator wrote goes before the table, and what neither knows is not known."""

from __future__ import annotations

from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.routing import Candidate, Price
from tollhouse.plugins import load_plugins
from tollhouse.stages.admit import Prices

CONFIG = """
version: 1
providers: {o: {kind: openai, credential: env:KEY}, own: {kind: vllm, base_url: http://127.0.0.1:1/v1}}
routes:
  table: {deployments: [{provider: o, model: gpt-4o}]}
  mine: {deployments: [{provider: o, model: gpt-4o, price: {input_per_million_usd: 1, output_per_million_usd: 0}, context_window_tokens: 5}]}
  star/*: {deployments: [{provider: o, model: "*"}]}
  own: {deployments: [{provider: own, model: gpt-4o}]}
"""  # noqa: E501
SNAPSHOT = compile_config(load(CONFIG), load_plugins().providers)
PRICES = Prices(SNAPSHOT)


def candidate(route: str, model: str = "gpt-4o") -> Candidate:
    return Candidate(deployment=SNAPSHOT.routes[route].deployments[0], model=model)


def test_table_tells_of_models_that_everybody_knows() -> None:
    price = PRICES.of(candidate("table"))
    assert price is not None
    assert price.input_per_million_nanousd == 2_500_000_000
    assert PRICES.window_tokens(candidate("table")) == 128_000


def test_operators_word_goes_before_the_table() -> None:
    price = PRICES.of(candidate("mine"))
    assert price == Price(input_per_million_nanousd=1_000_000_000, output_per_million_nanousd=0)
    assert PRICES.window_tokens(candidate("mine")) == 5


def test_model_behind_a_star_is_priced_by_the_name_that_goes_out() -> None:
    assert PRICES.of(candidate("star/*")) == PRICES.of(candidate("table"))
    assert PRICES.of(candidate("star/*", "nobody-knows")) is None


def test_model_that_somebody_runs_himself_has_no_price_whatever_its_name() -> None:
    assert (PRICES.of(candidate("own")), PRICES.window_tokens(candidate("own"))) == (None, None)
    assert PRICES.kind_of(candidate("own")) == "vllm"


def test_no_more_models_are_remembered_than_a_house_needs() -> None:
    prices = Prices(SNAPSHOT)
    for number in range(10_050):
        prices.of(candidate("star/*", f"m{number}"))
    assert len(prices._known) <= 10_000
