"""The errors a user can meet: one base, few classes, each with what to do about it.

Every message is one line that names the file, the key, the value and the remedy. The command line
turns a class into an exit status; nothing else decides one.
"""


class StocklineError(Exception):
    """Base of every error that is told to the user without a traceback."""

    exit_status = 1


class InputError(StocklineError):
    """Bad arguments, configuration, site file or claims file; found before any work is done."""

    exit_status = 2


class SourceError(StocklineError):
    """A catalogue or its pixels could not be had now (network, quota); run the site again later."""


class GoneError(SourceError):
    """A server says that there is no such thing (``status``); waiting does not help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class RefusedError(SourceError):
    """A server refuses, or leads to where the configuration does not allow to go; waiting does not help."""


class UnauthorizedError(RefusedError):
    """A server does not know who asks: credentials are wrong, or their token has ended."""


class BudgetError(SourceError):
    """What a run may ask of a provider is used up: what was fetched is kept."""


class SceneRefusedError(StocklineError):
    """One scene is unusable for good (broken file, missing band); it is counted in the report."""


class EvidenceError(StocklineError):
    """Stored or referenced pixels differ from the hash they were recorded with."""


class ProductError(StocklineError):
    """A product could not be written or read back (full disk, finished results missing)."""


class ReviewError(StocklineError):
    """A review file, a row of it, or the ledger of decisions is not as it must be; nothing of it is taken."""


class WorkersError(StocklineError):
    """The workers of a cluster were lost, or work was lost with each worker that took it; run the site again."""


class BusyError(StocklineError):
    """Another batch holds the lock of this output folder."""

    exit_status = 75
