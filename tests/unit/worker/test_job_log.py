"""What a worker's log says of a job."""

from dataclasses import replace

from tests.support.jobs import make_job
from worker.job_log import about


def test_a_line_about_a_job_has_its_id_and_its_trace() -> None:
    job = make_job()
    trace_id = "ab" * 16
    assert about(job) == {"owner": "public", "request_id": job.id.request_id}
    traced = replace(job, traceparent=f"00-{trace_id}-{'cd' * 8}-01")
    assert about(traced) == {**about(job), "trace_id": trace_id}
