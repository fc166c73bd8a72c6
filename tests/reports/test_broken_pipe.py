"""A reader that goes away, as `… | head` does, must not end a search."""

import os

from reports.plain_view import PlainView
from reports.progress import ViewSettings


def test_a_closed_pipe_is_no_error():
    reading, writing = os.pipe()
    settings = ViewSettings(study="s", trials=2, workers=1, objectives=("val_accuracy", "params"))
    with os.fdopen(writing, "w") as stream:
        view = PlainView(stream, settings)
        view.notice("read")
        assert b"read" in os.read(reading, 100)
        os.close(reading)
        view.notice("nobody reads this")
        view.notice("nor this")
        print("a report after the search", file=stream, flush=True)
