"""`python -m gateway.cache`: what the response cache holds and how often it helps; `purge` empties it."""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.settings import GatewaySettings
from shared.adapters.redis_connections import batches_over, connect_redis
from shared.adapters.redis_response_cache import Entry, RedisResponseCache
from shared.ports import StoreUnavailable
from shared.settings import load_settings

_TIMEOUT_SECONDS = 5.0
_PROGRESS_EVERY = 1000


def main() -> None:
    """Ends with 1 and one line when Redis does not answer."""
    arguments = _arguments()
    settings = load_settings(GatewaySettings)
    if not settings.redis_enabled:
        raise SystemExit(
            "REDIS_ENABLED=false: the cache lives in the memory of the service, and ends with it"
        )
    try:
        asyncio.run(_purge(settings, arguments) if arguments.command == "purge" else _show(settings))
    except StoreUnavailable as fault:
        raise SystemExit(f"the cache cannot be read: {fault}") from None


async def _show(settings: GatewaySettings) -> None:
    async with _cache(settings) as cache:
        sizes, counts = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        async for entry in _counted(cache.entries()):
            sizes[entry.owner, entry.model] += entry.size_bytes
            counts[entry.owner, entry.model] += 1
        hits, misses = await cache.counts()
    rate = f"{hits / (hits + misses):.1%}" if hits + misses else "none asked yet"
    _say(f"entries  {counts.total()} of at most {settings.llm_cache_max_entries}")
    _say(f"bytes    {sizes.total()}")
    _say(f"hits     {hits}")
    _say(f"misses   {misses}")
    _say(f"hit rate {rate}")
    for (owner, model), count in sorted(counts.items()):
        _say(f"  {owner}  {model}  {count} entries, {sizes[owner, model]} bytes")


async def _purge(settings: GatewaySettings, arguments: argparse.Namespace) -> None:
    async with _cache(settings) as cache:
        entries = [entry async for entry in _counted(cache.entries()) if _is_meant(entry, arguments)]
        for entry in entries:
            await cache.forget(entry)
    _say(f"purged   {len(entries)} entries")


def _is_meant(entry: Entry, arguments: argparse.Namespace) -> bool:
    return arguments.model in (None, entry.model) and arguments.owner in (None, entry.owner)


@asynccontextmanager
async def _cache(settings: GatewaySettings) -> AsyncIterator[RedisResponseCache]:
    url = settings.redis_address()
    async with connect_redis(url, max_connections=2, timeout_seconds=_TIMEOUT_SECONDS) as (client, _):
        batches = batches_over(client)
        try:
            yield RedisResponseCache(batches, settings.llm_cache_max_entries)
        finally:
            await batches.aclose()


async def _counted(entries: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
    """Says on standard error how far it has come."""
    number = 0
    async for entry in entries:
        number += 1
        if number % _PROGRESS_EVERY == 0:
            sys.stderr.write(f"{number} entries read\n")
        yield entry


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.cache", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("show", help="size and hit rate (the default)")
    purge = commands.add_parser("purge", help="forget answers; all of them without a choice")
    purge.add_argument("--model", help="only those of this model")
    purge.add_argument("--owner", help="only those of this client")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
