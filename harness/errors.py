"""The errors a user may see: each one a single message that names the thing, what was expected and what to do."""


class BenchmarkError(Exception):
    """Something failed that the user should read about; the command exits with `exit_code`."""

    exit_code = 1


class DamagedError(BenchmarkError):
    """A file of ours was cut off or overwritten. It has been put aside: the same command makes it again."""


class RequestError(BenchmarkError):
    """The request itself was wrong (a name, a flag, a file's form): nothing was started."""

    exit_code = 2


class MissingError(BenchmarkError):
    """Data or weights are not here and could not be fetched."""

    exit_code = 3
