"""Time that passes when a test says so."""


class ManualClock:
    """Seconds since nothing in particular."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def go_on(self, seconds: float) -> None:
        self.seconds += seconds
