import { expect, test } from "vitest";
import { readObject } from "./body.ts";

const LIMIT = 1_048_576;

function post(body: string | ReadableStream<Uint8Array>, headers: Record<string, string> = {}): Request {
  return new Request("http://x/", { method: "POST", body, headers, duplex: "half" } as RequestInit);
}

/** A chunked body of so many bytes, and how many of them were asked for. */
function chunked(bytes: number) {
  const asked = { bytes: 0 };
  const chunk = new Uint8Array(65_536).fill(32);
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (asked.bytes >= bytes) return controller.close();
      asked.bytes += chunk.byteLength;
      controller.enqueue(chunk);
    },
  });
  return { stream, asked };
}

test("an empty body is an empty object, with and without a content type", async () => {
  const json = { "content-type": "application/json", "content-length": "0" };

  expect(await readObject(new Request("http://x/", { method: "POST" }), false)).toEqual({});
  expect(await readObject(post("", json), false)).toEqual({});
  expect(await readObject(post(" \n"), false)).toEqual({});
});

test("JSON is read whatever the content type says", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "garbage", "multipart/form-data"]) {
    expect(await readObject(post('{"a":"é💥"}', { "content-type": type }), false)).toEqual({ a: "é💥" });
  }
});

test("what is no JSON, or no object, is one problem that says nothing of the text", async () => {
  for (const bad of ["{", "[]", "1", "null", '"x"', '{"a":1,}', "{'a':1}", "{} //", "[".repeat(100_000)]) {
    await expect(readObject(post(bad), false)).rejects.toMatchObject({
      situation: "badJson",
      details: { fields: [{ type: "json_invalid", path: ["body"], message: "JSON decode error", input: {} }] },
    });
  }
});

test("comments are taken where the dialect takes them", async () => {
  expect(await readObject(post('{"a":"//x" /* y */} // z'), true)).toEqual({ a: "//x" });
});

test("1 MiB is read and one byte more is refused, announced or not", async () => {
  const exactly = `{"a":"${"x".repeat(LIMIT - 8)}"}`;

  expect(Object.keys(await readObject(post(exactly), false))).toEqual(["a"]);
  expect(Object.keys(await readObject(post(exactly, { "content-length": String(LIMIT) }), false))).toEqual(["a"]);
  await expect(readObject(post(`${exactly} `), false)).rejects.toMatchObject({ situation: "tooLarge" });
  const announced = { "content-length": String(LIMIT + 1) };
  await expect(readObject(post("{}", announced), false)).rejects.toMatchObject({ situation: "tooLarge" });
  await expect(readObject(post(`${exactly} `, { "content-length": "2" }), false)).rejects.toMatchObject({
    situation: "tooLarge",
  });
});

test("the limit is in bytes, not characters", async () => {
  const wide = `{"a":"${"é".repeat(LIMIT / 2)}"}`;

  await expect(readObject(post(wide), false)).rejects.toMatchObject({ situation: "tooLarge" });
});

test("a chunked body is not read on past the limit", async () => {
  const { stream, asked } = chunked(100 * LIMIT);

  await expect(readObject(post(stream), false)).rejects.toMatchObject({ situation: "tooLarge" });

  expect(asked.bytes).toBeLessThan(2 * LIMIT);
});

test("a body that breaks off is malformed", async () => {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.error(new Error("reset")),
  });

  await expect(readObject(post(stream), false)).rejects.toMatchObject({ situation: "badJson" });
});
