import fc from "fast-check";
import { expect, test } from "vitest";
import { withoutComments } from "./body.ts";

test.each([
  ['{"a":1} // end', { a: 1 }],
  ['{// x\n"a":1}', { a: 1 }],
  ['/* x\n * y */{"a":/**/1}', { a: 1 }],
  ['{"url":"https://x/*y*/","key":"ssh-rsa AA//"}', { url: "https://x/*y*/", key: "ssh-rsa AA//" }],
  ['{"a":"\\"//"}// "', { a: '"//' }],
  ['{"a":"\\\\"}//"', { a: "\\" }],
])("%s", (text, value) => {
  expect(JSON.parse(withoutComments(text))).toEqual(value);
});

test.each(['{"a":1,}', "{} /* no end", '{"a":1 / 2}', '{"a":"//', "{}/", "/"])("%s stays an error", (text) => {
  expect(() => JSON.parse(withoutComments(text))).toThrow(SyntaxError);
});

test("JSON without comments is unchanged", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(withoutComments(text)).toBe(text);
    }),
  );
});

test("a comment between two parts of a JSON text changes nothing", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (value, words) => {
      const line = `// ${words.replace(/[\n\r\u2028\u2029]/g, "")}\n`;
      const text = `${line}[${line}${JSON.stringify(value)}${line}/* ${words.replaceAll("*/", "")} */]`;
      expect(JSON.parse(withoutComments(text))).toEqual(JSON.parse(`[${JSON.stringify(value)}]`));
    }),
  );
});

test("megabytes of comment openings are handled in linear time", () => {
  for (const hostile of ["/*", '"', '\\"', "/"]) {
    const text = hostile.repeat(1_000_000);
    expect(withoutComments(text).length).toBeLessThanOrEqual(text.length);
  }
});
