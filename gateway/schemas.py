"""What the gateway answers about a job that has not ended."""

from datetime import datetime
from typing import Any

from shared.domain.job import JobId
from shared.domain.timestamps import rfc3339


def accepted_body(job_id: JobId, status: str, expires_at: datetime) -> dict[str, Any]:
    """The answer of a job that still runs."""
    url = f"/result/{job_id.request_id}"
    return {
        "success": True,
        "request_id": job_id.request_id,
        "status": status,
        "status_url": url,
        "events_url": f"{url}/events",
        "cancel_url": f"{url}/cancel",
        "expires_at": rfc3339(expires_at),
    }
