import { describe, expect, test } from "vitest";
import { memoryFetch } from "#tests/fakes/memory-fetch.ts";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { Problem } from "../problem.ts";
import { checkReceiver, isReceiverUrl, openReceiver, sealReceiver } from "./receiver.ts";

describe("the form of a receiver", () => {
  test.each([
    "https://hooks.example/berth",
    "http://hooks.example:8080/a?b=c#d",
    "HTTPS://HOOKS.EXAMPLE",
    "http://203.0.113.7/",
    "http://[2001:db8::1]:80/x",
    "http://bücher.example/",
    `https://hooks.example/${"a".repeat(2048 - 22)}`,
  ])("%s is valid", (url) => {
    expect(isReceiverUrl(url)).toBe(true);
  });

  test.each([
    "",
    "hooks.example",
    "/berth",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://",
    "http:///path",
    "http:hooks.example",
    "http:/hooks.example",
    "http://user@hooks.example/",
    "http://user:password@hooks.example/",
    "http://:@hooks.example/",
    "http://hooks.example\\@127.0.0.1/",
    "http://hooks.example:99999/",
    "http://hooks .example/",
    " https://hooks.example/",
    "https://hooks.example/\n",
    `https://hooks.example/${"a".repeat(2048 - 21)}`,
  ])("%j is invalid", (url) => {
    expect(isReceiverUrl(url)).toBe(false);
  });
});

test("an invalid receiver is one invalid field of the body, with the documented message", async () => {
  const ctx = { ...(await memoryWorld()).ctx, fetch: memoryFetch() };

  const refusals = ["nonsense", "https://private.example/"].map((url) => checkReceiver(ctx, url, "webhookUrl"));
  const [form, place] = await Promise.all(refusals.map((refusal) => refusal.catch((error: unknown) => error)));

  const texts = ["webhookUrl must be a valid http or https URL", "webhookUrl must not point to a private address"];
  expect([form, place].map((problem) => (problem as Problem).message)).toEqual(texts);
  expect(form).toBeInstanceOf(Problem);
  expect((place as Problem).details.fields).toMatchObject([
    { path: ["body", "webhookUrl"], message: texts[1], input: "https://private.example/" },
  ]);
  await expect(checkReceiver(ctx, "https://hooks.example/", "webhookUrl")).resolves.toBeUndefined();
});

test("a sealed receiver can be unsealed only for its own record", async () => {
  const { ctx } = await memoryWorld();
  const record = { pk: "owner#a#env#novita", sk: "inst_1" };

  const sealed = await sealReceiver(ctx, record, "https://hooks.example/?token=t");

  expect(sealed).not.toContain("hooks.example");
  expect(await openReceiver(ctx, record, sealed)).toBe("https://hooks.example/?token=t");
  await expect(openReceiver(ctx, { ...record, sk: "inst_2" }, sealed)).rejects.toThrow();
});
