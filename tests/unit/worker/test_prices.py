"""What a call costs: the price list's word, the operator's before it, and null rather than a guess."""

from datetime import UTC, datetime

import orjson
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from shared.domain.job import Job
from shared.domain.prices import OwnPrice
from shared.domain.result import Usage as CountedUsage
from shared.prices import Prices
from tests.support.jobs import make_job
from worker.llm.chat_completion import cached_tokens_of, parse_answer
from worker.llm.priced_client import PricedClient
from worker.ports import Completion, Tell

OPENAI = "https://api.openai.com/v1"
OPENAI_MODELS = sorted(
    model.id
    for provider in get_snapshot().providers
    if provider.id == "openai"
    for model in provider.models
    if model.is_match(model.id)
    and (prices := model.get_prices(datetime.now(UTC))).input_mtok is not None
    and prices.output_mtok is not None
)


def test_every_openai_model_costs_what_genai_prices_says_tiers_and_cached_tokens_included() -> None:
    prices = Prices({}, OPENAI)
    for model in OPENAI_MODELS:
        for prompt, completion, cached in ((0, 1, 0), (1000, 100, 300), (300_000, 5000, 100_000)):
            usage = Usage(input_tokens=prompt, output_tokens=completion, cache_read_tokens=cached)
            expected = float(calc_price(usage, model, provider_id="openai").total_price)
            assert prices.cost_usd((model,), prompt, completion, cached) == pytest.approx(
                expected, rel=1e-9
            ), model
    assert len(OPENAI_MODELS) > 20


def test_an_unknown_model_has_no_price() -> None:
    assert Prices({}, OPENAI).cost_usd(("nobody-knows-me",), 1000, 1000) is None


def test_the_operators_price_wins_under_any_name_the_model_goes_by() -> None:
    prices = Prices({"gpt-4o-mini": OwnPrice(input=1, output=2)}, OPENAI)
    assert prices.cost_usd(("gpt-4o-mini-2024-07-18", "gpt-4o-mini"), 1_000_000, 1_000_000, 500_000) == 3
    cached = Prices({"mine": OwnPrice(input=1, output=2, cached=0.5)})
    assert cached.cost_usd(("mine",), 1_000_000, 0, 500_000) == 0.75


@pytest.mark.parametrize(
    ("url", "model", "is_known"),
    [
        ("http://127.0.0.1:8080/v1", "gpt-4o-mini", True),
        ("http://127.0.0.1:8080/v1", "llama-3.3-70b-versatile", False),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", True),
        ("", "gpt-4o", True),
    ],
)
def test_the_price_is_that_of_the_server_that_is_asked(url: str, model: str, *, is_known: bool) -> None:
    assert (Prices({}, url).cost_usd((model,), 1000, 1000) is not None) == is_known


class OneAnswer:
    """Answers with what it is given."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        return self._completion


def answered(usage: CountedUsage | None, model: str = "mine", cached_tokens: int = 0) -> Completion:
    return Completion(
        model=model,
        message={"role": "assistant", "content": "Paris"},
        finish_reason="stop",
        confidence=None,
        usage=usage,
        latency_ms=1.0,
        cached_tokens=cached_tokens,
    )


async def cost_of(completion: Completion) -> float | None:
    prices = Prices({"mine": OwnPrice(input=100_000, output=200_000, cached=10_000)})
    return (await PricedClient(OneAnswer(completion), prices).complete(make_job(), 1)).cost_usd


async def test_prompt_cached_completion_and_reasoning_tokens_have_their_prices() -> None:
    assert await cost_of(answered(CountedUsage(prompt_tokens=4, completion_tokens=3, total_tokens=7))) == 1
    cached = answered(CountedUsage(prompt_tokens=4, completion_tokens=0, total_tokens=4), cached_tokens=3)
    assert await cost_of(cached) == pytest.approx(0.13)
    # Reasoning inside the completion is in its count; beside it, in the total alone
    assert await cost_of(answered(CountedUsage(prompt_tokens=4, completion_tokens=3, total_tokens=12))) == 2


async def test_without_a_count_or_a_price_there_is_no_cost() -> None:
    assert await cost_of(answered(None)) is None
    usage = CountedUsage(prompt_tokens=4, completion_tokens=3, total_tokens=7)
    assert await cost_of(answered(usage, model="nobody-knows-me")) is not None  # asked for as gpt-4o-mini
    prices = Prices({})
    unknown = await PricedClient(OneAnswer(answered(usage, "nobody-knows-me")), prices).complete(
        make_job(model="gpt-4o"), 1
    )
    assert unknown.cost_usd == prices.cost_usd(("gpt-4o",), 4, 3)


@pytest.mark.parametrize(
    ("details", "cached"),
    [
        ({"cached_tokens": 5}, 5),
        (None, 0),
        ({}, 0),
        ("5", 0),
        ({"cached_tokens": "5"}, 0),
        ({"cached_tokens": -5}, 0),
    ],
)
def test_cached_tokens_are_read_and_nonsense_is_none(details: object, cached: int) -> None:
    usage = b'"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "prompt_tokens_details": '

    body = b'{"choices": [{"message": {"role": "assistant", "content": "x"}}], "usage": {%s%s}}' % (
        usage,
        orjson.dumps(details),
    )
    answer = parse_answer(body)
    assert answer["usage"]["total_tokens"] == 10
    assert cached_tokens_of(answer) == cached


def test_a_price_is_a_whole_number_of_nano_dollars() -> None:
    prices = Prices({"mine": OwnPrice(input=0.0374, output=0.1516)})
    cost_usd = prices.cost_usd(("mine",), 3, 1)
    assert cost_usd == 264e-9, "264.0 of 263.8"
    assert prices.cost_usd(("mine",), 1001, 7) == round(1001 * 37.4 + 7 * 151.6) / 1e9
