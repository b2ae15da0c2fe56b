"""One tree of errors: each class says whose fault it is and which exit code it means.

What the web does is a value (`Outcome`), never an exception. An exception that is not in this tree is a bug.
"""

from __future__ import annotations


class ScraperError(Exception):
    """Something that the person who runs the program can mend; the message says what, to what, and what to do next."""

    exit_code = 2


class UsageError(ScraperError):
    """A command, document or URL that cannot be used as given."""


class ConfigError(ScraperError):
    """A settings file, variable or `--set` that is wrong; names the file, the key and what would be right."""


class IntegrityError(ScraperError):
    """The archive holds something that is damaged or does not agree with itself."""

    exit_code = 5


class LargeRecord(IntegrityError):
    """A record of another tool with more bytes than the asker will hold."""


class StateDamaged(IntegrityError):
    """The state file is damaged: it can be made again from the WARCs."""


class ArchiveUnwritable(ScraperError):
    """The archive cannot be written: full disk, read-only file system, missing rights."""

    exit_code = 74


class OutputUnwritable(ScraperError):
    """Results cannot be written to where the user wants them."""

    exit_code = 74


class ArchiveLocked(ScraperError):
    """Another run holds the lock."""

    exit_code = 75
