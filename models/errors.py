"""Errors that end the program with a message a person can act on, each with its exit code."""


class ProgramError(Exception):
    """A failure whose message is for a person: no traceback is shown unless `--debug` is given."""

    exit_code = 1


class InputError(ProgramError):
    """What was given cannot be used: a space file, an option, a data set."""

    exit_code = 2


class StorageError(ProgramError):
    """The study or its files cannot be read or written."""

    exit_code = 3


class ExecutorLostError(ProgramError):
    """What runs the trials is gone; they go on where the same command is given once more."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


class AllTrialsFailedError(ProgramError):
    """No trial of the search succeeded."""

    exit_code = 4


class StudyBusyError(ProgramError):
    """Another driver holds the study."""

    exit_code = 5
