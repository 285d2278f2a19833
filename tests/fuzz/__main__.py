"""`python -m tests.fuzz`: throw anything at HTTP and at the topic; exit 1 if what must hold does not."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import fuzz_topic, fuzz_web
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary


def main() -> int:
    words = _words()
    try:
        kafka, redis = find_apache_kafka(), RedisServer(any_binary())
    except Unavailable as reason:
        print(f"cannot run here: {reason}")
        return 2
    provider = ScriptedProvider()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, provider:
        reports = fuzz_web(provider, Path(folder), words.cases // 10, words.cases * 4 // 10, words.seed)
        with kafka, redis:
            reports.append(fuzz_topic(kafka, redis, provider, Path(folder), words.cases // 2, words.seed))
    print("\n" + "\n\n".join(report.story for report in reports))
    return 1 if any(report.count for report in reports) else 0


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="in total; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="the same cases again; default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
