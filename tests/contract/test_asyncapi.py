"""What the documentation of the topics says is valid AsyncAPI, committed, and what is written there."""

import json
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest

from gateway.asyncapi import asyncapi_document, asyncapi_page
from gateway.settings import GatewaySettings
from shared.settings import load_settings
from tests.conftest import missing
from tests.contract.golden_files import GoldenFiles
from tests.docs.tables import ASYNCAPI, asyncapi_text
from tests.support.availability import Unavailable
from tests.support.npm_packages import ASYNCAPI_SPECS, node_modules
from tests.unit.gateway.gateway_in_process import gateway_in_process

DOCUMENT = asyncapi_document(GatewaySettings(_env_file=None))
WRITTEN = {
    "request_minimal": "job",
    "request_full": "job",
    "request_chat": "job",
    "record_of_result_succeeded": "succeeded",
    "record_of_result_failed": "failed",
    "metrics_provider_called": "attempt",
    "metrics_job_finished": "finished",
    "errors_job_failed": "failure",
    "errors_record_dead_lettered": "failure",
}


def test_it_is_what_is_committed() -> None:
    assert ASYNCAPI.read_text() == asyncapi_text(), "run make docs"


def test_it_is_asyncapi_3() -> None:
    try:
        folder = node_modules(ASYNCAPI_SPECS) / "@asyncapi" / "specs" / "schemas"
    except Unavailable as reason:
        missing(str(reason))
    schema = json.loads((folder / "3.0.0.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    # And one that is not is found
    wrong = {**DOCUMENT, "operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/requests"}}}}
    assert list(validator.iter_errors(wrong))


@pytest.mark.parametrize(("name", "message"), WRITTEN.items())
def test_what_is_written_is_what_it_says(golden: GoldenFiles, name: str, message: str) -> None:
    said = DOCUMENT["components"]["messages"][message]
    record = golden.read(name)
    value = record["value"] if "headers" in record else record
    jsonschema.validate(value, said["payload"])
    if "headers" in record:
        headers = dict(record["headers"])
        jsonschema.validate(headers, said["headers"])
        assert set(headers) <= set(said["headers"]["properties"])
    for name_of_member in value:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**value, name_of_member: [["nothing has this form"]]}, said["payload"])


def test_it_names_the_topics_of_the_operator() -> None:
    named = {"kafka_request_topic": "asked", "kafka_result_topic": "told"}
    settings = load_settings(GatewaySettings, _env_file=None, **named)
    channels = asyncapi_document(settings)["channels"]
    assert (channels["requests"]["address"], channels["results"]["address"]) == ("asked", "told")


async def test_it_is_there_for_programs_and_for_people() -> None:
    async with gateway_in_process() as gateway:
        document = await gateway.http.get("/asyncapi.json")
        page = await gateway.http.get("/asyncapi")
    assert document.json() == DOCUMENT
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == asyncapi_page(DOCUMENT)
    reader = _Headings()
    reader.feed(page.text)
    assert reader.codes == [channel["address"] for channel in DOCUMENT["channels"].values()]
    assert "://" not in page.text.split("<h2>")[0]  # it loads nothing from anywhere


class _Headings(HTMLParser):
    """The names of the topics on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[str] = []
        self._is_code = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._is_code = tag == "code"

    def handle_data(self, data: str) -> None:
        if self._is_code:
            self.codes.append(data)
            self._is_code = False
