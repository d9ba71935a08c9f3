"""The OnMemOS API: sessions, workspaces, and commands in them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Type
from urllib.parse import quote

from .errors import AuthenticationError, NotFoundError, OnMemOSError, ValidationError
from .transport import Call, Transport

__all__ = [
    "AuthenticationError",
    "NotFoundError",
    "OnMemOSClient",
    "OnMemOSError",
    "ValidationError",
    "Workspace",
    "WorkspaceSession",
]

#: Seconds to wait for an answer. Creating waits for a machine, a command takes as long as it may and some more.
_READ_SECONDS = 30.0
_CREATE_SECONDS = 180.0
_EXEC_EXTRA_SECONDS = 15.0


class OnMemOSClient:
    """Calls one server with one key. A key may also stand in the base URL: ``https://host/k/<key>``."""

    def __init__(self, base_url: str = "http://localhost:8080", api_key: Optional[str] = None) -> None:
        self._transport = Transport(base_url, api_key)

    def __repr__(self) -> str:
        return f"OnMemOSClient({str(self._transport)!r})"

    def health_check(self) -> Dict[str, Any]:
        """How the server is, also when it is not well."""
        return self._transport.send(Call("GET", "/health", _READ_SECONDS, also=(503,)))

    def create_session(self, spec: Mapping[str, Any]) -> Dict[str, Any]:
        """A new session of ``template``, ``namespace``, ``user`` and whatever else ``spec`` says."""
        return self._transport.send(Call("POST", "/v1/sessions", _CREATE_SECONDS, body=dict(spec)))

    def get_session(self, session_id: str) -> Dict[str, Any]:
        return self._transport.send(Call("GET", _session(session_id), _READ_SECONDS))

    def list_sessions(self, namespace: Optional[str] = None, user: Optional[str] = None) -> List[Dict[str, Any]]:
        """The newest first; only those of a namespace or user where one is given."""
        query = {"namespace": namespace, "user": user}
        return _list(self._transport.send(Call("GET", "/v1/sessions", _READ_SECONDS, query)), "sessions")

    def execute_session(self, session_id: str, command: str, timeout: int = 120) -> Dict[str, Any]:
        """Runs a command to its end: ``stdout``, ``stderr``, ``returncode``, ``success``. ``timeout`` is in seconds."""
        body = {"command": command, "timeout": timeout}
        return self._transport.send(Call("POST", _session(session_id) + "/execute", _exec_seconds(timeout), body=body))

    def connect(self, session_id: str) -> Dict[str, Any]:
        """Where the session is reached: ``url``, ``websocket``, ``ssh``."""
        return self._transport.send(Call("GET", _session(session_id) + "/connect", _READ_SECONDS))

    def delete_session(self, session_id: str) -> bool:
        """Whether it was there."""
        return self._delete(_session(session_id))

    def cloudrun_workspace_session(
        self, template: str, namespace: str, user: str, ttl_minutes: int = 60
    ) -> WorkspaceSession:
        """A workspace for a ``with`` block, deleted at the end of it however it ends."""
        return WorkspaceSession(self, template, namespace, user, ttl_minutes)

    def create_cloudrun_workspace(
        self, template: str, namespace: str, user: str, ttl_minutes: int = 60
    ) -> Dict[str, Any]:
        body = {"template": template, "namespace": namespace, "user": user, "ttl_minutes": ttl_minutes}
        return self._transport.send(Call("POST", "/v1/cloudrun/workspaces", _CREATE_SECONDS, body=body))

    def get_cloudrun_workspace(self, workspace_id: str) -> Dict[str, Any]:
        return self._transport.send(Call("GET", _workspace(workspace_id), _READ_SECONDS))

    def list_cloudrun_workspaces(
        self, namespace: Optional[str] = None, user: Optional[str] = None
    ) -> List[Dict[str, Any]]:
        """The newest first; only those of a namespace or user where one is given."""
        query = {"namespace": namespace, "user": user}
        return _list(self._transport.send(Call("GET", "/v1/cloudrun/workspaces", _READ_SECONDS, query)), "workspaces")

    def delete_cloudrun_workspace(self, workspace_id: str) -> bool:
        """Whether it was there."""
        return self._delete(_workspace(workspace_id))

    def execute_in_cloudrun_workspace(self, workspace_id: str, command: str, timeout: int = 120) -> Dict[str, Any]:
        """Runs a command to its end: ``stdout``, ``stderr``, ``returncode``, ``success``. ``timeout`` is in seconds."""
        return self._run(workspace_id, "execute", {"command": command}, timeout)

    def run_python_in_cloudrun_workspace(self, workspace_id: str, code: str, timeout: int = 120) -> Dict[str, Any]:
        return self._run(workspace_id, "runpython", {"code": code}, timeout)

    def run_shell_in_cloudrun_workspace(self, workspace_id: str, command: str, timeout: int = 120) -> Dict[str, Any]:
        return self._run(workspace_id, "runsh", {"command": command}, timeout)

    def _run(self, workspace_id: str, verb: str, what: Mapping[str, str], timeout: int) -> Dict[str, Any]:
        path = f"{_workspace(workspace_id)}/{verb}"
        return self._transport.send(Call("POST", path, _exec_seconds(timeout), {**what, "timeout": timeout}))

    def _delete(self, path: str) -> bool:
        try:
            self._transport.send(Call("DELETE", path, _READ_SECONDS))
        except NotFoundError:
            return False
        return True


class Workspace(Dict[str, Any]):
    """A workspace as the server shows it, with the commands that run in it."""

    def __init__(self, client: OnMemOSClient, shown: Mapping[str, Any]) -> None:
        super().__init__(shown)
        self._client = client

    def execute(self, command: str, timeout: int = 120) -> Dict[str, Any]:
        return self._client.execute_in_cloudrun_workspace(self["id"], command, timeout)

    def run_python(self, code: str, timeout: int = 120) -> Dict[str, Any]:
        return self._client.run_python_in_cloudrun_workspace(self["id"], code, timeout)

    def run_shell(self, command: str, timeout: int = 120) -> Dict[str, Any]:
        return self._client.run_shell_in_cloudrun_workspace(self["id"], command, timeout)


class WorkspaceSession:
    """Creates a workspace on entering and deletes it on leaving. May be entered again, for another one."""

    def __init__(self, client: OnMemOSClient, template: str, namespace: str, user: str, ttl_minutes: int) -> None:
        self._client = client
        self._wanted = (template, namespace, user, ttl_minutes)
        self._ids: List[str] = []

    def __enter__(self) -> Workspace:
        workspace = Workspace(self._client, self._client.create_cloudrun_workspace(*self._wanted))
        self._ids.append(workspace["id"])
        return workspace

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        try:
            self._client.delete_cloudrun_workspace(self._ids.pop())
        except OnMemOSError:
            # What went wrong in the block is told first; the workspace ends by its own time.
            if error is None:
                raise


def _session(session_id: str) -> str:
    return f"/v1/sessions/{quote(session_id, safe='')}"


def _workspace(workspace_id: str) -> str:
    return f"/v1/cloudrun/workspaces/{quote(workspace_id, safe='')}"


def _exec_seconds(timeout: int) -> float:
    return max(timeout + _EXEC_EXTRA_SECONDS, _CREATE_SECONDS)


def _list(answer: Mapping[str, Any], name: str) -> List[Dict[str, Any]]:
    entries = answer.get(name)
    return entries if isinstance(entries, list) else []
