"""A fault in one line, for logs and for people."""


def describe(fault: BaseException) -> str:
    """Its class and what it says; the class once, for Kafka's errors say it themselves."""
    name, message = type(fault).__name__, str(fault)
    if name in message:
        return message
    return f"{name}: {message}" if message else name
