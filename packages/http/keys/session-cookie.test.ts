import { expect, test } from "vitest";
import { isFromConsole } from "./session-cookie.ts";

const consoleUrl = "http://berth.localhost:8080/";

function isOwn(method: string, headers: Readonly<Record<string, string>>): boolean {
  return isFromConsole(
    { method, headers: new Headers({ "Sec-Fetch-Site": "same-origin", ...headers }) },
    { consoleUrl },
  );
}

test("a console with a host of its own sends its requests to that host", () => {
  const Host = "berth.localhost:8080";

  expect(isOwn("GET", { Host })).toBe(true);
  expect(isOwn("POST", { Host, Origin: "http://berth.localhost:8080" })).toBe(true);
  expect(isOwn("POST", { Host: "BERTH.localhost:8080", Origin: "http://berth.localhost:8080" })).toBe(true);
});

test("a tunnel may lead to the console from another port, whose pages then have that port", () => {
  expect(isOwn("POST", { Host: "berth.localhost:9000", Origin: "http://berth.localhost:9000" })).toBe(true);
  expect(isOwn("POST", { Host: "berth.localhost", Origin: "http://berth.localhost" })).toBe(true);
  expect(isOwn("POST", { Host: "berth.localhost:9000", Origin: "http://berth.localhost:8080" })).toBe(false);
});

test.each([
  "localhost:8080",
  "127.0.0.1:8080",
  "berth.localhost.:8080",
  "x.preview.localhost:8080",
  "preview.localhost:8080",
  "x.berth.localhost:8080",
  "evil.example:8080",
  "",
])("a page at the host %j is none of the console", (Host) => {
  const Origin = `http://${Host}`;

  expect([isOwn("GET", { Host }), isOwn("GET", { Host, Origin }), isOwn("POST", { Host, Origin })]).toEqual([
    ...[false, false, false],
  ]);
  expect(isOwn("POST", { Host: "berth.localhost:8080", Origin })).toBe(false);
});

test.each(["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"])("%s needs an Origin", (method) => {
  expect(isOwn(method, { Host: "berth.localhost:8080" })).toBe(false);
});
