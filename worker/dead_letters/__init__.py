"""Records that can never become a result: buried by the worker, seen and redriven by people."""

from worker.dead_letters.burial import DeadLettersUnavailable, KafkaDeadLetters

__all__ = ["DeadLettersUnavailable", "KafkaDeadLetters"]
