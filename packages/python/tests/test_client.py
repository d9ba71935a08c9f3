from __future__ import annotations

import json
import socket
import unittest
from typing import Any, Callable, Dict
from unittest import mock
from urllib.parse import parse_qs, urlsplit

from sdk.python import client as module
from sdk.python.client import (
    AuthenticationError,
    NotFoundError,
    OnMemOSClient,
    OnMemOSError,
    ValidationError,
)

from .stub import Stub

KEY = "a-key-that-nobody-may-see_0123456789"
SESSION = {"id": "ws-n-u-1", "status": "running"}
RESULT = {"stdout": "hi\n", "stderr": "", "returncode": 0, "success": True}
WORKSPACES = "/v1/cloudrun/workspaces"
CREATED = {
    f"POST {WORKSPACES}": (201, SESSION),
    f"DELETE {WORKSPACES}/ws-n-u-1": (200, {"message": "Workspace deleted successfully"}),
    f"POST {WORKSPACES}/ws-n-u-1/execute": (200, RESULT),
    f"POST {WORKSPACES}/ws-n-u-1/runpython": (200, RESULT),
    f"POST {WORKSPACES}/ws-n-u-1/runsh": (200, RESULT),
}


class Sessions(unittest.TestCase):
    def test_the_printed_example_runs(self) -> None:
        answers = {
            "POST /v1/sessions": (201, SESSION),
            "POST /v1/sessions/ws-n-u-1/execute": (200, RESULT),
            "DELETE /v1/sessions/ws-n-u-1": (200, {"ok": True}),
        }
        with Stub(answers) as stub:
            client = OnMemOSClient(stub.url, KEY)
            session = client.create_session({"template": "python", "namespace": "n", "user": "u"})
            result = client.execute_session(session["id"], "python --version")
            deleted = client.delete_session(session["id"])

        self.assertEqual((result["stdout"], deleted), ("hi\n", True))
        self.assertEqual([json.loads(asked.body) for asked in stub.asked[:2]], [
            {"template": "python", "namespace": "n", "user": "u"},
            {"command": "python --version", "timeout": 120},
        ])
        self.assertEqual({asked.headers.get("x-api-key") for asked in stub.asked}, {KEY})
        self.assertEqual(stub.asked[2].body, "")

    def test_a_base_url_may_end_in_a_slash_and_may_hold_the_key(self) -> None:
        with Stub({"GET /k/abc/v1/sessions/x": (200, SESSION)}) as stub:
            shown = OnMemOSClient(f"{stub.url}/k/abc/").get_session("x")

        self.assertEqual(shown, SESSION)
        self.assertNotIn("x-api-key", stub.asked[0].headers)

    def test_lists_are_lists_and_ask_only_for_what_was_given(self) -> None:
        answers = {
            "GET /v1/sessions": (200, {"sessions": [SESSION], "count": 1}),
            f"GET {WORKSPACES}": (200, {"workspaces": [SESSION], "count": 1}),
        }
        with Stub(answers) as stub:
            client = OnMemOSClient(stub.url, KEY)
            listed = [client.list_sessions(), client.list_sessions(user="a&b=c d"), client.list_cloudrun_workspaces("n")]

        self.assertEqual(listed, [[SESSION]] * 3)
        self.assertEqual([asked.target for asked in stub.asked], [
            "/v1/sessions",
            "/v1/sessions?user=a%26b%3Dc%20d",
            f"{WORKSPACES}?namespace=n",
        ])

    def test_health_is_told_also_when_it_is_bad(self) -> None:
        for status in (200, 503):
            with self.subTest(status), Stub({"GET /health": (status, {"status": "x"})}) as stub:
                self.assertEqual(OnMemOSClient(stub.url).health_check(), {"status": "x"})

    def test_connection_details_are_those_of_the_session(self) -> None:
        with Stub({"GET /v1/sessions/a/connect": (200, {"url": None})}) as stub:
            self.assertEqual(OnMemOSClient(stub.url, KEY).connect("a"), {"url": None})

    def test_an_id_stays_one_segment_of_the_path(self) -> None:
        with Stub({}) as stub:
            self.assertFalse(OnMemOSClient(stub.url, KEY).delete_session("a/../b?c#d e%é"))

        self.assertEqual(stub.asked[0].target, "/v1/sessions/a%2F..%2Fb%3Fc%23d%20e%25%C3%A9")

    def test_deleting_what_is_not_there_is_false(self) -> None:
        with Stub({}) as stub:
            client = OnMemOSClient(stub.url, KEY)

            self.assertEqual([client.delete_session("a"), client.delete_cloudrun_workspace("a")], [False, False])


class Workspaces(unittest.TestCase):
    def test_a_block_has_a_workspace_that_is_deleted_at_its_end(self) -> None:
        with Stub(CREATED) as stub:
            with OnMemOSClient(stub.url, KEY).cloudrun_workspace_session("python", "n", "u") as workspace:
                results = [workspace.execute("date", timeout=5), workspace.run_python("1"), workspace.run_shell("date")]
                seen = workspace["id"]

        self.assertEqual((seen, results), ("ws-n-u-1", [RESULT] * 3))
        self.assertEqual(json.loads(stub.asked[0].body)["ttl_minutes"], 60)
        self.assertEqual(stub.asked[-1][:2], ("DELETE", f"{WORKSPACES}/ws-n-u-1"))

    def test_an_exception_goes_on_after_the_workspace_was_deleted_even_if_that_fails(self) -> None:
        for status in (200, 404, 500):
            with self.subTest(status), Stub({**CREATED, f"DELETE {WORKSPACES}/ws-n-u-1": (status, {})}) as stub:
                with self.assertRaisesRegex(KeyError, "mine"):
                    with OnMemOSClient(stub.url, KEY).cloudrun_workspace_session("python", "n", "u"):
                        raise KeyError("mine")

                self.assertEqual(stub.asked[-1].method, "DELETE")

    def test_a_workspace_that_cannot_be_deleted_is_told_where_nothing_else_is(self) -> None:
        with Stub({**CREATED, f"DELETE {WORKSPACES}/ws-n-u-1": (500, {"detail": "Internal server error"})}) as stub:
            with self.assertRaisesRegex(OnMemOSError, "500: Internal server error"):
                with OnMemOSClient(stub.url, KEY).cloudrun_workspace_session("python", "n", "u"):
                    pass

    def test_whatever_the_code_it_arrives_as_it_was_written(self) -> None:
        codes = ['print("Hello World")', "print(1+1)", "a&b=c%20#?\n\té💥", "%", "x" * 20_000]
        with Stub(CREATED) as stub:
            client = OnMemOSClient(stub.url, KEY)
            for code in codes:
                client.run_python_in_cloudrun_workspace("ws-n-u-1", code)

        arrived = [parse_qs(urlsplit(asked.target).query or asked.body, strict_parsing=True) for asked in stub.asked]
        self.assertEqual([pairs["code"][0] for pairs in arrived], codes)
        self.assertEqual([pairs["timeout"][0] for pairs in arrived], ["120"] * len(codes))
        self.assertLess(max(len(asked.target) for asked in stub.asked), 8_000)
        self.assertEqual(stub.asked[-1].headers["content-type"], "application/x-www-form-urlencoded")


class Failures(unittest.TestCase):
    def told(self, answers: Dict[str, Any], call: Callable[[OnMemOSClient], Any]) -> OnMemOSError:
        with Stub(answers) as stub, self.assertRaises(OnMemOSError) as caught:
            call(OnMemOSClient(f"{stub.url}/k/{KEY}", KEY))
        return caught.exception

    def test_each_status_has_its_class_and_the_servers_words(self) -> None:
        classes = {400: ValidationError, 401: AuthenticationError, 404: NotFoundError, 409: OnMemOSError, 500: OnMemOSError}
        for status, kind in classes.items():
            with self.subTest(status):
                answers = {f"GET /k/{KEY}/v1/sessions/a": (status, {"detail": f"Words for {status}"})}
                error = self.told(answers, lambda client: client.get_session("a"))

                self.assertIs(type(error), kind)
                self.assertEqual((error.status, error.detail), (status, f"Words for {status}"))
                self.assertEqual(str(error), f"{status}: Words for {status}")

    def test_what_is_no_json_object_is_told_by_its_reason(self) -> None:
        for status, content, detail in [
            (502, "<html>", "Bad Gateway"),
            (500, {"detail": [1]}, "Internal Server Error"),
            (200, "[]", "The answer is no JSON object"),
            (200, "", "The answer is no JSON object"),
        ]:
            with self.subTest(detail):
                answers = {f"GET /k/{KEY}/v1/sessions/a": (status, content)}
                error = self.told(answers, lambda client: client.get_session("a"))

                self.assertEqual((error.status, error.detail), (status, detail))

    def test_a_redirect_is_not_followed(self) -> None:
        with Stub({"GET /v1/sessions/a": (200, SESSION)}) as other:
            answers = {f"GET /k/{KEY}/v1/sessions/a": (302, f"{other.url}/v1/sessions/a")}
            error = self.told(answers, lambda client: client.get_session("a"))

            self.assertEqual((error.status, other.asked), (302, []))

    def test_a_server_that_hangs_up_or_is_not_there_is_status_0(self) -> None:
        hung_up = self.told({f"GET /k/{KEY}/health": (200, None)}, lambda client: client.health_check())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with self.assertRaises(OnMemOSError) as caught:
            OnMemOSClient(f"http://127.0.0.1:{port}/k/{KEY}", KEY).health_check()

        self.assertEqual((hung_up.status, caught.exception.status), (0, 0))
        self.assertIn("No answer", str(caught.exception))

    def test_a_server_that_says_nothing_is_given_up(self) -> None:
        with socket.socket() as silent, mock.patch.object(module, "_READ_SECONDS", 0.1):
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            client = OnMemOSClient(f"http://127.0.0.1:{silent.getsockname()[1]}", KEY)

            with self.assertRaisesRegex(OnMemOSError, "No answer within 0.1 s"):
                client.get_session("a")

    def test_a_command_is_waited_for_longer_than_it_may_take(self) -> None:
        seconds = [module._exec_seconds(timeout) for timeout in (1, 120, 165, 166, 3600)]

        self.assertEqual(seconds, [180, 180, 180, 181, 3615])

    def test_no_error_and_no_repr_holds_a_key(self) -> None:
        get = f"GET /k/{KEY}/v1/sessions/a"
        call = lambda client: client.get_session("a")
        told = [
            self.told({get: (401, {"detail": f"Bad key {KEY} in /k/{KEY}/v1"})}, call),
            self.told({get: (502, f"{KEY}")}, call),
            self.told({get: (302, f"http://127.0.0.1:1/k/{KEY}/")}, call),
            self.told({get: (200, None)}, call),
        ]

        for error in told:
            self.assertNotIn(KEY, f"{error!r} {error} {error.args} {vars(error)}")
            self.assertIsNone(error.__context__)
        client = OnMemOSClient(f"http://localhost/k/{KEY}", KEY)
        workspace = module.Workspace(client, SESSION)
        self.assertEqual(repr(client), "OnMemOSClient('http://localhost/k/***')")
        self.assertNotIn(KEY, repr([client, workspace, client._transport]))

    def test_a_key_or_address_that_cannot_be_sent_is_refused_without_being_repeated(self) -> None:
        keys = [f"{KEY}\n", f"{KEY} x", f"{KEY}é", ""]
        urls = [f"http://x/k/{KEY} ", f"ftp://x/k/{KEY}", f"http://{KEY}@x", f"http://x?api_key={KEY}", f"/k/{KEY}", ""]
        for base_url, key in [("http://x", key) for key in keys] + [(url, None) for url in urls]:
            with self.subTest(base_url=base_url, key=key), self.assertRaises(ValueError) as caught:
                OnMemOSClient(base_url, key)
            self.assertNotIn(KEY, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
