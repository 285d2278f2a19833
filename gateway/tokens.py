"""`python -m gateway.tokens new NAME`: a token for a client, shown once."""

import argparse
import sys
from typing import TextIO

from gateway.client_tokens import entry_of, new_token
from shared.domain.job import OWNER_RULE, is_owner
from shared.domain.validation import short_echo


def main() -> None:
    """The token and its entry on standard output, one a line; what they are, on standard error."""
    name: str = _arguments().name
    token = new_token()
    _say(sys.stderr, f"The token of {name}; it is shown this once and kept nowhere:")
    _say(sys.stdout, token)
    _say(sys.stderr, "Its entry for LLM_AUTH_TOKENS, or a line of LLM_AUTH_TOKENS_FILE:")
    _say(sys.stdout, entry_of(name, token))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.tokens", description=__doc__)
    new = parser.add_subparsers(required=True).add_parser("new", help="make a token for a client")
    new.add_argument("name", metavar="NAME", type=_client_name, help=OWNER_RULE)
    return parser.parse_args()


def _client_name(text: str) -> str:
    if not is_owner(text):
        raise argparse.ArgumentTypeError(f"{short_echo(text)!r} is no name; allowed: {OWNER_RULE}")
    return text


def _say(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


if __name__ == "__main__":
    main()
