import { expect, test } from "vitest";
import { Conflict } from "#core/problem.ts";
import { isOutage } from "./outage.ts";

function errorWith(fields: object): Error {
  return Object.assign(new Error("x"), fields);
}

test.each([
  ["a refused connection", errorWith({ code: "ECONNREFUSED" })],
  ["a time-out of the SDK", errorWith({ name: "TimeoutError" })],
  ["a fault of the service", errorWith({ name: "InternalServerError", $fault: "server" })],
  ["throttling", errorWith({ name: "ThrottlingException", $fault: "client" })],
  ["an error that the SDK would retry", errorWith({ $retryable: {} })],
  ["a network error inside another", new Error("x", { cause: errorWith({ code: "ENOTFOUND" }) })],
  ["a record that would not stand still", new Conflict("x")],
])("%s is an outage", (_, error) => {
  expect(isOutage(error)).toBe(true);
});

test.each([
  ["a bad request to a service", errorWith({ name: "ValidationException", $fault: "client" })],
  ["a missing permission", errorWith({ name: "AccessDeniedException", $fault: "client" })],
  ["a bug", new TypeError("x is not a function")],
  ["a missing file", errorWith({ code: "ENOENT" })],
  ["no error at all", "ECONNREFUSED"],
])("%s is not an outage", (_, error) => {
  expect(isOutage(error)).toBe(false);
});
