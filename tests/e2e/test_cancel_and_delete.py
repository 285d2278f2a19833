"""A job that is cut off, and a result that is erased."""

from uuid import uuid4

import httpx

from tests.e2e.test_lifecycle import until
from tests.support.provider_process import ScriptedProvider


def test_a_running_job_is_cut_off_at_the_provider(http: httpx.Client, provider: ScriptedProvider) -> None:
    # Given a job whose call takes long
    prompt, request_id = f"{uuid4()} [[latency_ms=60000]]", str(uuid4())
    body = {"user_prompt": prompt, "request_id": request_id}
    accepted = http.post("/submit", json=body)
    until(lambda: len(provider.calls_of(prompt)) == 1)
    # When it is cancelled, where the answer said
    response = http.post(accepted.json()["cancel_url"])
    # Then the request is noted, the job ends as cancelled, and the provider sees the caller leave
    assert response.status_code == 202
    result = http.get(f"/result/{request_id}", params={"wait": "20"})
    assert (result.status_code, result.json()["status"]) == (200, "cancelled")
    until(lambda: provider.calls_of(prompt)[0].was_disconnected)
    # And cancelling again says so, and the id is not run again
    again = http.post(f"/result/{request_id}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    posted = http.post("/invoke", json=body)
    assert (posted.status_code, posted.json()["error"]["error_code"]) == (409, "JOB_CANCELLED")
    assert posted.headers["x-should-retry"] == "false"
    assert len(provider.calls_of(prompt)) == 1


def test_a_finished_job_is_not_cancelled_and_can_be_deleted(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    # Given a finished job
    prompt, request_id = str(uuid4()), str(uuid4())
    body = {"user_prompt": prompt, "request_id": request_id}
    assert http.post("/invoke", json=body).status_code == 200
    url = f"/result/{request_id}"
    # When it is cancelled, then it is too late
    refused = http.post(f"{url}/cancel")
    assert (refused.status_code, refused.json()["error"]["error_code"]) == (409, "ALREADY_FINISHED")
    # When it is deleted, then nothing of it is left but its id
    assert http.delete(url).status_code == 204
    gone = http.get(url)
    assert (gone.status_code, gone.json()["error"]["error_code"]) == (410, "GONE")
    assert prompt not in gone.text
    posted = http.post("/invoke", json=body)
    assert (posted.status_code, posted.json()["error"]["error_code"]) == (409, "RESULT_DELETED")
    assert http.delete(url).status_code == 204
    assert len(provider.calls_of(prompt)) == 1


def test_a_running_job_is_not_deleted(http: httpx.Client) -> None:
    request_id = str(uuid4())
    body = {"user_prompt": f"{uuid4()} [[latency_ms=500]]", "request_id": request_id}
    http.post("/submit", json=body)
    refused = http.delete(f"/result/{request_id}")
    assert (refused.status_code, refused.json()["error"]["error_code"]) == (409, "STILL_RUNNING")
    assert http.get(f"/result/{request_id}", params={"wait": "20"}).json()["status"] == "succeeded"


def test_an_unknown_id_is_neither_cancelled_nor_deleted(http: httpx.Client) -> None:
    for refused in (http.post(f"/result/{uuid4()}/cancel"), http.delete(f"/result/{uuid4()}")):
        assert (refused.status_code, refused.json()["error"]["error_code"]) == (404, "NOT_FOUND")


def test_reading_a_failure_succeeds(http: httpx.Client) -> None:
    request_id = str(uuid4())
    body = {"user_prompt": f"{uuid4()} [[status=400]]", "request_id": request_id}
    assert http.post("/invoke", json=body).status_code == 400
    read = http.get(f"/result/{request_id}")
    assert (read.status_code, read.json()["status"], read.json()["success"]) == (200, "failed", False)
