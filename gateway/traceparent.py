"""The trace that a request says it belongs to: W3C Trace Context, version 00."""

import re

TRACEPARENT = re.compile("00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
