import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { keyOfText } from "#core/store/keys.ts";
import type { Catalog } from "#http/catalog.ts";
import { cron } from "#http/cron.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { eachRequest, work } from "#http/work.ts";

/** A small catalog for tests of the stack: a login without users, a note for a consumer, and a schedule. */
export function fixtureCatalog(): Catalog & { readonly ticks: () => number } {
  let ticks = 0;
  const schedule = cron.every({ minutes: 1, uses: [] }, async () => {
    ticks += 1;
  });
  return {
    endpoints: [
      { name: "login", file: "login.ts", declaration: login },
      { name: "note", file: "note.ts", declaration: note },
    ],
    internal: [],
    consumers: [{ name: "work", file: "work.ts", declaration: consumer }],
    schedules: [{ name: "tick", file: "tick.ts", declaration: schedule }],
    fallbacks: [],
    sockets: [],
    ticks: () => ticks,
  };
}

const Login = z.object({
  aws_access_key_id: z.string(),
  aws_secret_access_key: z.string(),
  aws_session_token: z.string(),
});

/** Creates a key with the configured lifetime for a user of the local STS. */
const login = gpuDev.endpoint(
  createRoute({
    method: "post",
    path: "/v1/auth/aws-login",
    request: { body: jsonBody(Login) },
    responses: { 200: jsonReply(z.object({ api_key: z.string(), expires_at: z.string(), aws_arn: z.string() })) },
  }),
  { uses: ["table", "identity"], public: true },
  async ({ ctx, body }) => {
    const { arn } = await ctx.identity.callerOfCredentials({
      accessKeyId: body.aws_access_key_id,
      secretAccessKey: body.aws_secret_access_key,
      sessionToken: body.aws_session_token,
    });
    const key = ctx.ids.secret(64);
    const expiresAt = ctx.clock.now() + ctx.settings.keyTtlHours * 3_600_000;
    const owner = { uid: ctx.ids.uid(), username: "developer", number: 1, prefix: key.slice(0, 8) };
    const record = {
      ...owner,
      createdAt: ctx.clock.now(),
      loginAt: ctx.clock.now(),
      expiresAt,
      revokedAt: null,
      disabled: false,
      kind: "key",
      ttl: Math.ceil(expiresAt / 1000),
    };
    const item = { pk: `key#${ctx.ids.hash(key)}`, sk: "-", writers: ["w1"], ...record };
    await ctx.table.put(item, { ifWriter: null });
    return { api_key: key, expires_at: new Date(expiresAt).toISOString(), aws_arn: arn };
  },
);

/** Answers after the consumer has written its record. */
const note = gpuDev.endpoint(
  createRoute({ method: "get", path: "/v1/jobs", responses: { 200: jsonReply(z.object({ seen: z.boolean() })) } }),
  { uses: ["table", "queue"] },
  async ({ ctx }) => {
    const key = { pk: `note#${ctx.ids.uid()}`, sk: "-" };
    await ctx.queue.send("work", { look: `${key.pk}|${key.sk}` });
    for (let tries = 0; tries < 2_000; tries += 1) {
      if (await ctx.table.get(key)) return { seen: true };
      await ctx.clock.sleep(5);
    }
    return { seen: false };
  },
);

const consumer = work.consume(
  { uses: ["table"] },
  eachRequest(async (ctx, { look: recordKey, hint }) => {
    const key = keyOfText(recordKey);
    if (key && !hint) await ctx.table.put({ ...key, writers: ["w1"] });
  }),
);
