"""Every answer with what it cost."""

from dataclasses import replace

from shared.domain.job import Job
from shared.prices import Prices
from worker.ports import Completion, LLMClient, Tell


class PricedClient:
    """`LLMClient` that knows prices; it goes inside the one that tells of every call."""

    def __init__(self, inner: LLMClient, prices: Prices) -> None:
        self._inner = inner
        self._prices = prices

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        completion = await self._inner.complete(job, attempt, tell)
        cost_usd = self._cost_usd(job, completion)
        return replace(completion, cost_usd=cost_usd) if cost_usd is not None else completion

    def _cost_usd(self, job: Job, completion: Completion) -> float | None:
        usage = completion.usage
        if usage is None:
            return None
        models = (completion.model,) if completion.model == job.model else (completion.model, job.model)
        # Some providers count reasoning beside the completion: what is left of the total is output too.
        output_tokens = max(usage.completion_tokens, usage.total_tokens - usage.prompt_tokens)
        return self._prices.cost_usd(models, usage.prompt_tokens, output_tokens, completion.cached_tokens)
