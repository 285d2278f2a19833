"""Callers' keys sealed to the workers. A gateway holds public keys only."""

from typing import Any

from shared.domain.job import Job
from shared.key_file import KeyFile
from shared.sealing import ALG, CURVE, seal


class KeySealer:
    """Seals to the current key, the first of its file."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file

    def seal(self, job: Job) -> str:
        """The key of `job`, for this job alone."""
        if job.api_key is None:
            raise ValueError("the job has no key to seal")
        return seal(job.api_key, job, next(iter(self._file.keys().values())))

    def jwks(self) -> dict[str, Any]:
        """The keys that anybody may seal to, the current one first."""
        return {
            "keys": [
                {"kty": "OKP", "crv": CURVE, "x": key["x"], "kid": kid, "use": "enc", "alg": ALG}
                for kid, key in self._file.keys().items()
            ]
        }
