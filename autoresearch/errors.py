"""Errors that a user can cause or mend: each is one clear line and an exit code.

UserError            1  something went wrong and the line says what to do
  UsageError         2  the command was called wrongly
  Blocker            3  this machine, data set or repository cannot do it yet; `doctor` explains
"""


class UserError(Exception):
    """One line that says what is wrong and what to do about it."""

    exit_code = 1


class UsageError(UserError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class Blocker(UserError):
    """Something that `autoresearch doctor` explains stands in the way."""

    exit_code = 3
