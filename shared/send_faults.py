"""What became of a record that was to be sent."""

from aiokafka.errors import TopicAuthorizationFailedError


def send_fault(fault: BaseException, topic: str) -> str:
    """In a few words; of a right that is missing, which one and where."""
    if isinstance(fault, TopicAuthorizationFailedError):
        return f"Kafka gives no WRITE on topic {topic}"
    return type(fault).__name__
