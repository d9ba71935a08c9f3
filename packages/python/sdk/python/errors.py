"""What can go wrong in a call. No message holds a key."""

from __future__ import annotations


class OnMemOSError(Exception):
    """A call that failed: the HTTP status (0 when nothing answered) and what the server said."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}" if self.status else self.detail


class ValidationError(OnMemOSError):
    """400: a field is missing or wrong."""


class AuthenticationError(OnMemOSError):
    """401: the key is missing, unknown, expired or revoked."""


class NotFoundError(OnMemOSError):
    """404: there is no such session or workspace, or it is somebody else's."""


def error_of(status: int, detail: str) -> OnMemOSError:
    """The error of the class that its status has."""
    return _CLASSES.get(status, OnMemOSError)(status, detail)


_CLASSES: dict[int, type[OnMemOSError]] = {
    400: ValidationError,
    401: AuthenticationError,
    404: NotFoundError,
}
