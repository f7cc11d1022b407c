"""Errors whose message a person can act on."""


class InputError(ValueError):
    """Something that a person gave is wrong: a file, a setting, a folder.

    The message is one line: where (file or key), what was found, and what would be right. The
    command line prints it as it is and exits with status 2; the server answers it as a 4xx.
    """


class NotTrainedError(InputError):
    """A prediction or a ranking was asked for before the first generation was published."""


class DamagedGenerationError(RuntimeError):
    """A stored generation does not match its manifest."""


class UnreachableError(RuntimeError):
    """The server that holds the scans does not answer; nothing is known to be wrong with the scans themselves."""
