"""The error that a user of `ctdb-node` sees, and how it is taken out of exception groups."""

__all__ = ["NodeError", "first_error"]


class NodeError(Exception):
    """Something can't be done; its text says what, and what was expected."""


def first_error(error: BaseException) -> BaseException:
    """Returns the first exception in an exception group, however deep; any other exception as it is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
