"""Why something could not be fetched. str() says what to do, and fits on one line."""


class SourceError(Exception):
    """(reason): what came is not what may be used. (step) names what found that."""

    origin = "cached: source was refused"  # what the log calls a copy used instead

    def __init__(self, reason: str, step: str = "fetch") -> None:
        self.step = step
        super().__init__(reason)


class Away(SourceError):
    """The source does not give it."""

    origin = "cached: source is away"


class Passing(Away):
    """It may give it when it is asked again."""
