"""How many of what: made from the bench's CPU a request and from the bytes that a job takes in Redis."""

import math
import re

CALLS_IN_FLIGHT_A_WORKER = 1000  # WORKER_CONCURRENCY, as the bench holds on one worker
BUSY = 0.6  # of a core, at the most that is planned for
KEPT_HOURS = 24  # REDIS_TTL_HOURS
REDIS_ROOM = 2  # a rewrite of its file copies what changes meanwhile, and a full one takes nothing more
LEAST = 2  # so that one may die
PARTITIONS = 24  # KAFKA_REQUEST_PARTITIONS
_CASES = [(10, 2), (50, 4), (50, 20), (200, 2), (200, 20), (500, 5), (1000, 2), (1000, 20)]
_POINT = "c=64"
_US, _GB = 1e-6, 1e-9


def sizing_table(bench: str, redis_memory: str) -> str:
    gateway_us, worker_us = cpu_us(bench)
    job_bytes = stored_bytes(redis_memory)
    rows = [
        "| Calls a second | Seconds a call | In flight | Gateways | Workers | Partitions "
        "| Kept in Redis | Redis' memory |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for rate, seconds in _CASES:
        in_flight = rate * seconds
        workers = max(math.ceil(in_flight / CALLS_IN_FLIGHT_A_WORKER), processes(rate, worker_us))
        stored = rate * KEPT_HOURS * 3600 * job_bytes * _GB
        cells = (
            f"{rate:,}",
            f"{seconds}",
            f"{in_flight:,}",
            f"{processes(rate, gateway_us)}",
            f"{workers}",
            f"{max(PARTITIONS, 2 * workers)}",
            f"{stored:,.1f} GB",
            f"{REDIS_ROOM * stored:,.0f} GB",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def processes(rate: int, cpu: float) -> int:
    return max(LEAST, math.ceil(rate * cpu * _US / BUSY))


def cpu_us(bench: str) -> tuple[float, float]:
    """Of gateway and worker, at 64 calls at once."""
    [row] = re.findall(rf"^\| {_POINT} \|(.*)\|$", bench, re.MULTILINE)
    *_, gateway, worker = (float(cell) for cell in row.split("|"))
    return gateway, worker


def stored_bytes(redis_memory: str) -> int:
    """Of a finished job with an answer of 1,000 letters."""
    [count] = re.findall(
        r"^\| a finished job, an answer of 1,000 letters .*\| ([\d,]+) \|$", redis_memory, re.MULTILINE
    )
    return int(count.replace(",", ""))
