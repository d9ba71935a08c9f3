import { expect, test } from "vitest";
import { readQuery, wholeNumber } from "./query.ts";

test.each([
  ["http://x/", {}],
  ["http://x/?", {}],
  ["http://x/?a=1&b=2", { a: "1", b: "2" }],
  ["http://x/?a=1&a=2", { a: "2" }],
  ["http://x/?a=1,2#f?b=3", { a: "1,2" }],
  ["http://x/?a+b=c+d%2B", { "a b": "c d+" }],
  ["http://x/?a=100%&b=%zz&c=%E0%A4&d=%C3%A9%", { a: "100%", b: "%zz", c: "%E0%A4", d: "é%" }],
  ["http://x/?a=%2541", { a: "%41" }],
  ["http://x/?a=b=c&=d&&e", { a: "b=c", "": "d", e: "" }],
  ["http://x/?a=?&b=%00", { a: "?", b: "\0" }],
])("%s", (url, query) => {
  expect(readQuery(url)).toEqual(query);
});

test("a name like __proto__ is an ordinary name", () => {
  const query = readQuery("http://x/?__proto__=a");

  expect(Object.entries(query)).toEqual([["__proto__", "a"]]);
  expect(Object.getPrototypeOf(query)).toBe(Object.prototype);
});

test("a whole number consists of digits and is within its bounds", () => {
  const schema = wholeNumber(1, 500);

  expect(schema.parse("7")).toBe(7);
  for (const bad of ["", " 7", "7.0", "1e2", "0x7", "x", "0", "501", "-1", undefined, null]) {
    expect(schema.safeParse(bad).success).toBe(false);
  }
});
