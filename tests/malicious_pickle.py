"""Pickles that would call something while they are read."""


class Payload:
    """Pickled, the call `function(*arguments)`: `pickle.loads` makes it."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments
