"""The three parts of the fuzzing, each over processes of its own."""

from pathlib import Path

from tests.fuzz.documented_api import fuzz_documented_api
from tests.fuzz.posted_bodies import fuzz_bodies
from tests.fuzz.report import Findings
from tests.fuzz.topic_records import fuzz_records, fuzzed_worker
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import one_process

OWN_KEY = "sk-of-the-service"


def fuzz_web(
    provider: ScriptedProvider, folder: Path, documented: int, bodies: int, seed: int
) -> list[Findings]:
    """The whole service in one process, with nothing beside it but a provider."""
    api_folder, body_folder = folder / "api", folder / "bodies"
    for made in (api_folder, body_folder):
        made.mkdir()
    settings = {
        "REDIS_ENABLED": "false",
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_API_KEY": OWN_KEY,
        "WORKER_BACKOFF_SECONDS": "0.01",
    }
    # The document cannot list the models of a setting.
    with one_process(api_folder, LLM_SUPPORTED_MODELS="*", **settings) as service:
        api = fuzz_documented_api(service.url, documented, seed)
    with one_process(body_folder, **settings) as service:
        return [api, fuzz_bodies(service, body_folder, bodies, seed)]


def fuzz_topic(
    kafka: AnyKafka, redis: AnyRedis, provider: ScriptedProvider, folder: Path, records: int, seed: int
) -> Findings:
    """A worker and a gateway over Kafka and Redis."""
    topic_folder = folder / "topic"
    topic_folder.mkdir()
    with fuzzed_worker(kafka, redis, provider, topic_folder) as fuzzed:
        return fuzz_records(fuzzed, records, seed)
