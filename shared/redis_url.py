"""The address of Redis with the files of its encryption: what the address itself says wins."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.tls_files import TlsFiles


def with_tls_files(url: str, files: TlsFiles) -> str:
    """Raises ValueError in one line for files that cannot be used, or that nobody would look at."""
    if not files.given:
        return url
    parts = urlsplit(url)
    if not parts.scheme.startswith("rediss"):
        raise ValueError(
            f"{files.given[0]} is set, but REDIS_URL={parts.scheme}://... encrypts nothing; "
            "allowed: rediss://, rediss+sentinel:// or rediss+cluster:// with it"
        )
    files.context()
    options = {
        "ssl_ca_certs": files.ca,
        "ssl_certfile": files.certificate,
        "ssl_keyfile": files.key or files.certificate,
    }
    merged = {name: path for name, path in options.items() if path} | dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode(merged)))
