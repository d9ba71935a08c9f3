import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readObject } from "./body.ts";

const LIMIT = 1_048_576;
const strict = { comments: false, form: false };

function post(
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  headers: Record<string, string> = {},
): Request {
  return new Request("http://x/", { method: "POST", body, headers, duplex: "half" } as RequestInit);
}

/** Returns a chunked body of so many bytes, and the number of bytes that were read. */
function chunked(bytes: number) {
  const input = { bytes: 0 };
  const chunk = new Uint8Array(65_536).fill(32);
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (input.bytes >= bytes) return controller.close();
      input.bytes += chunk.byteLength;
      controller.enqueue(chunk);
    },
  });
  return { stream, asked: input };
}

test("an empty body is an empty object, with and without a content type", async () => {
  const json = { "content-type": "application/json", "content-length": "0" };

  expect(await readObject(new Request("http://x/", { method: "POST" }), strict)).toEqual({});
  expect(await readObject(post("", json), strict)).toEqual({});
  expect(await readObject(post(" \n"), strict)).toEqual({});
});

test("JSON is parsed under any content type", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "garbage", "multipart/form-data"]) {
    expect(await readObject(post('{"a":"é💥"}', { "content-type": type }), strict)).toEqual({ a: "é💥" });
  }
});

test("refuses JSON that is not an object and says so", async () => {
  for (const bad of ["[]", "1", "null", '"x"']) {
    await expect(readObject(post(bad), strict)).rejects.toMatchObject({
      situation: "badJson",
      message: "",
      details: { fields: [{ type: "json_invalid", path: ["body"], message: "Request body must be a JSON object" }] },
    });
  }
});

test.each([
  ["{", " at line 1 column 2"],
  ['{"a":1,}', " at line 1 column 8"],
  ["{'a':1}", " at line 1 column 2"],
  ["{} //", " at line 1 column 4"],
  ['{\n  "a": 1,\n  "b": 2 secret\n}', " at line 3 column 10"],
  ['{"a": "b\nc"}', " at line 1 column 9"],
  ['{"a": "\\x"}', " at line 1 column 9"],
  ['{"a": "é💥", b}', " at line 1 column 14"],
  ['{"a": 01}', " at line 1 column 8"],
  ['{"a": (line 9 column 9)', ""],
  ['{"a": tru', ""],
  ["[".repeat(100_000), ""],
])("invalid JSON is one problem with its position and without its text: %#", async (bad, place) => {
  await expect(readObject(post(bad), strict)).rejects.toMatchObject({
    situation: "badJson",
    details: { fields: [{ type: "json_invalid", path: ["body"], message: `JSON decode error${place}`, input: {} }] },
  });
});

test("refuses invalid UTF-8 with a message, with and without a content length", async () => {
  const text = "Request body is not valid UTF-8";
  const cut = Buffer.from('{"a":"é').subarray(0, -1);
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xc3]]) {
    const body = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
    for (const length of [{}, { "content-length": String(body.length) }]) {
      const refused = {
        situation: "badJson",
        message: text,
        details: { fields: [{ type: "json_invalid", message: text }] },
      };
      await expect(readObject(post(body, length), strict)).rejects.toMatchObject(refused);
    }
  }
  await expect(readObject(post(cut), strict)).rejects.toMatchObject({ message: text });
  const pairs = Buffer.from("code=\xff", "latin1");
  await expect(readObject(post(pairs), { comments: false, form: true })).rejects.toMatchObject({ message: text });
});

test("a byte order mark before the JSON is skipped", async () => {
  expect(await readObject(post('\ufeff{"a":1}'), strict)).toEqual({ a: 1 });
});

test("comments are accepted if the dialect allows them", async () => {
  expect(await readObject(post('{"a":"//x" /* y */} // z'), { comments: true, form: false })).toEqual({ a: "//x" });
});

test("1 MiB is read and one byte more is refused, with or without a content length", async () => {
  const exactly = `{"a":"${"x".repeat(LIMIT - 8)}"}`;

  expect(Object.keys(await readObject(post(exactly), strict))).toEqual(["a"]);
  expect(Object.keys(await readObject(post(exactly, { "content-length": String(LIMIT) }), strict))).toEqual(["a"]);
  await expect(readObject(post(`${exactly} `), strict)).rejects.toMatchObject({ situation: "tooLarge" });
  const announced = { "content-length": String(LIMIT + 1) };
  await expect(readObject(post("{}", announced), strict)).rejects.toMatchObject({ situation: "tooLarge" });
  await expect(readObject(post(`${exactly} `, { "content-length": "2" }), strict)).rejects.toMatchObject({
    situation: "tooLarge",
  });
});

test("the limit is in bytes, not characters", async () => {
  const wide = `{"a":"${"é".repeat(LIMIT / 2)}"}`;

  await expect(readObject(post(wide), strict)).rejects.toMatchObject({ situation: "tooLarge" });
});

test("a chunked body is not read beyond the limit", async () => {
  const { stream, asked: input } = chunked(100 * LIMIT);

  await expect(readObject(post(stream), strict)).rejects.toMatchObject({ situation: "tooLarge" });

  expect(input.bytes).toBeLessThan(2 * LIMIT);
});

test("a body that breaks off is malformed", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.error(new Error("reset")),
  });

  await expect(readObject(post(stream), strict)).rejects.toMatchObject({ situation: "badJson" });
});

test("a form body is read like a query, unless it begins like JSON", async () => {
  const read = (text: string, type = "text/plain") =>
    readObject(post(text, { "content-type": type }), { comments: false, form: true });

  expect(await read("command=ls+-la&timeout=5")).toEqual({ command: "ls -la", timeout: "5" });
  expect(await read("code=print%28%221%2B1%22%29%&x\n")).toEqual({ code: 'print("1+1")%', x: "" });
  expect(await read('code={"a": "b=c"}')).toEqual({ code: '{"a": "b=c"}' });
  expect(await read(' {"command":"a=b"}', "application/x-www-form-urlencoded")).toEqual({ command: "a=b" });
  for (const bad of ["{", '"a=b"', '["a=b"]', "ls -la", "=x"]) {
    await expect(read(bad)).rejects.toMatchObject({ situation: "badJson" });
  }
  await expect(readObject(post("command=ls"), strict)).rejects.toMatchObject({ situation: "badJson" });
});

test("a body with a content coding is refused before it is parsed", async () => {
  const compressed = gzipSync('{"a":1}');
  for (const coding of ["gzip", "br", "deflate", "GZip", "x-gzip", "identity, zstd", "aws-chunked", "gzip, gzip"]) {
    for (const body of [compressed, '{"a":1}']) {
      const refused = readObject(post(body, { "content-encoding": coding }), strict);
      await expect(refused).rejects.toMatchObject({ situation: "encodedBody", kind: "unsupported" });
    }
  }
});

test("the identity coding and an empty body with a coding are accepted", async () => {
  for (const coding of ["identity", " Identity ", "", "identity, identity"]) {
    expect(await readObject(post('{"a":1}', { "content-encoding": coding }), strict)).toEqual({ a: 1 });
  }
  expect(await readObject(post("", { "content-encoding": "gzip" }), strict)).toEqual({});
});

test("a compressed body over 1 MiB is refused as too large", async () => {
  const refused = readObject(post(" ".repeat(LIMIT + 1), { "content-encoding": "gzip" }), strict);

  await expect(refused).rejects.toMatchObject({ situation: "tooLarge" });
});
