"""One HTTP exchange of JSON, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from .errors import OnMemOSError, error_of


class Call(NamedTuple):
    """What is asked. A long query may go as a form instead, since a request line has its limit."""

    method: str
    path: str
    timeout: float
    query: Optional[Mapping[str, Any]] = None
    body: Optional[Mapping[str, Any]] = None
    #: Statuses besides 2xx that are answers and no failures.
    also: Tuple[int, ...] = ()


class Transport:
    """Sends calls below one base URL, with one key."""

    def __init__(self, base_url: str, api_key: Optional[str]) -> None:
        if _unsendable(base_url):
            raise ValueError("base_url must be printable ASCII without spaces")
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an http or https URL")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError("base_url must have no query, no fragment and no user")
        if api_key is not None and _unsendable(api_key):
            raise ValueError("api_key must be printable ASCII without spaces")
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._opener = urllib.request.build_opener(_NoRedirects)

    def __repr__(self) -> str:
        return self._without_key(self._base_url)

    def send(self, call: Call) -> Dict[str, Any]:
        """The JSON object of the answer. Raises OnMemOSError for every failure."""
        status, content, problem = self._exchange(call)
        if status == 0:
            raise OnMemOSError(0, self._without_key(problem))
        answer = _object_in(content)
        if 200 <= status < 300 or status in call.also:
            if answer is None:
                raise OnMemOSError(status, "The answer is no JSON object")
            return answer
        detail = (answer or {}).get("detail")
        raise error_of(status, self._without_key(detail if isinstance(detail, str) else problem))

    def _exchange(self, call: Call) -> Tuple[int, bytes, str]:
        """Status (0 when nothing answered), body and reason. Raises nothing: what urllib raises may hold the URL."""
        try:
            with self._opener.open(self._request(call), timeout=call.timeout) as response:
                return response.status, response.read(), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _rest_of(error), str(error.reason)
        except (TimeoutError, socket.timeout):
            return 0, b"", f"No answer within {call.timeout:g} s"
        except urllib.error.URLError as error:
            if isinstance(error.reason, (TimeoutError, socket.timeout)):
                return 0, b"", f"No answer within {call.timeout:g} s"
            return 0, b"", f"No answer: {error.reason}"
        except (http.client.HTTPException, OSError) as error:
            return 0, b"", f"No answer: {type(error).__name__}"

    def _request(self, call: Call) -> urllib.request.Request:
        headers = {"Accept": "application/json", "User-Agent": "onmemos-python/1.0"}
        if self._api_key:
            headers["X-API-Key"] = self._api_key
        url = self._base_url + call.path
        data = None if call.body is None else json.dumps(call.body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        pairs = urllib.parse.urlencode(_given(call.query), quote_via=urllib.parse.quote, safe="")
        if len(pairs) > _LONGEST_QUERY and data is None and call.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            data = pairs.encode()
        elif pairs:
            url += "?" + pairs
        return urllib.request.Request(url, data=data, headers=headers, method=call.method)

    def _without_key(self, text: str) -> str:
        hidden = text.replace(self._api_key, "***") if self._api_key else text
        return re.sub(r"(/(?:k|%6b)/)[^/?\s\"']+", r"\1***", hidden, flags=re.IGNORECASE)


#: Request line and headers together may have 10 KiB.
_LONGEST_QUERY = 4096


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to wherever it points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _unsendable(text: str) -> bool:
    """Whether it holds what would end a line or a header, and be repeated by http.client in its error."""
    return not re.fullmatch(r"[\x21-\x7e]+", text)


def _given(query: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    return {name: str(value) for name, value in (query or {}).items() if value is not None}


def _rest_of(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (http.client.HTTPException, OSError):
        return b""


def _object_in(content: bytes) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
