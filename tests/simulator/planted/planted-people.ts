import type { PlantedBug } from "./plant.ts";

/** Mistakes that users notice: keys, chat messages, webhooks. */
export const peopleBugs: readonly PlantedBug[] = [
  {
    name: "a revoked key remembered for too long",
    edits: [
      { file: "../http/keys/key-check.ts", find: "const MEMORY_MS = 5_000;", replace: "const MEMORY_MS = 300_000;" },
    ],
  },
  {
    name: "a revocation that only its user's record knows",
    edits: [
      {
        file: "users/keys.ts",
        find: 'return record ? "ended" : "over";',
        replace:
          'if (record) await ctx.table.put({ ...record, revokedAt: null });\n  return record ? "ended" : "over";',
      },
    ],
  },
  {
    name: "chat without a claim",
    edits: [
      {
        file: "chat/deliver.ts",
        find: "const record = { ...inbox, claim, claims: attempt,",
        replace: "const record = { ...inbox, claim: null, claims: attempt,",
      },
    ],
  },
  {
    name: "a message settled before it is posted",
    edits: [
      {
        file: "chat/deliver.ts",
        find: "const record = { ...inbox, claim, claims: attempt,",
        replace: "const record = { ...inbox, settled: message.n, claim, claims: attempt,",
      },
    ],
  },
  {
    name: "a message whose inbox is not told of it",
    edits: [
      {
        file: "chat/post.ts",
        find: "text);\n  await changeInbox(ctx, environment, (inbox) => inbox);",
        replace:
          "text);\n  await changeInbox(ctx, environment, (inbox) => (inbox.writers.length === 0 ? inbox : undefined));",
      },
    ],
  },
  {
    name: "the cursor moved before the delivery is put",
    edits: [
      {
        file: "webhooks/outbox.ts",
        find: "  await Promise.all(events.map((event) => writeRecord(ctx, event)));\n  return {",
        replace: "  return {",
      },
      {
        file: "webhooks/outbox.ts",
        find: "const { emitted, deliveries } = await emitEvents(ctx, environment, now);\n  return {",
        replace:
          "const { emitted, deliveries } = await emitEvents(ctx, environment, now);\n  const receiver = getReceiver(environment);\n  const entries = environment.events.timeline.filter(({ n }) => n > environment.events.emitted);\n  const events = receiver ? entries.map((entry) => newDelivery(ctx, environment, entry, receiver, now)) : [];\n  return {\n    act: () => Promise.all(events.map((event) => writeRecord(ctx, event))),",
      },
    ],
  },
  {
    name: "a chat message that nobody can read, and all others behind it",
    caughtBy: {
      file: "chat/chat.test.ts",
      title: "an unreadable message is skipped with an alarm, and later ones are delivered",
    },
    edits: [
      {
        file: "chat/record.ts",
        find: "if (!(error instanceof Unreadable) || error.isNewer) throw error;",
        replace: "if (error) throw error;",
      },
    ],
  },
  {
    name: "a message passed over that was put since it was looked for",
    caughtBy: {
      file: "chat/chat.test.ts",
      title: "a message that is written while the inbox searches for it is not skipped",
    },
    edits: [
      { file: "chat/step.ts", find: 'return (await ctx.table.get(key)) ?? "removed";', replace: 'return "removed";' },
    ],
  },
  {
    name: "a webhook posted without a claim",
    edits: [
      {
        file: "webhooks/deliver.ts",
        find: "return writeRecord(ctx, claimed);",
        replace: "await ctx.table.put(claimed);\n  return claimed;",
      },
    ],
  },
  {
    name: "receivers that keep all workers waiting",
    caughtBy: {
      file: "webhooks/share.test.ts",
      title: "simultaneous posts proceed only as far as their timeouts fit the share",
    },
    edits: [{ file: "webhooks/share.ts", find: "const over = heldMs + PATIENCE_MS", replace: "const over = heldMs" }],
  },
  {
    name: "an owner charged for the time in which a worker slept",
    caughtBy: {
      file: "webhooks/deliver.test.ts",
      title: "a post with a paused worker is charged as its timeout",
    },
    edits: [
      {
        file: "webhooks/deliver.ts",
        find: "Math.min(ctx.clock.monotonic() - begun, PATIENCE_MS)",
        replace: "ctx.clock.monotonic() - begun",
      },
    ],
  },
  {
    name: "a share is not given back by a post that waits for its receiver",
    caughtBy: {
      file: "webhooks/deliver.test.ts",
      title: "costs nothing of its owner's share, even if another delivery probes first",
    },
    edits: [{ file: "webhooks/deliver.ts", find: "tookMs: 0 }", replace: "tookMs: share.reservedMs }" }],
  },
  {
    name: "a share taken by who only asks whether its receiver is left alone",
    caughtBy: {
      file: "webhooks/deliver.test.ts",
      title: "delays no other receiver of its owner",
    },
    edits: [{ file: "webhooks/deliver.ts", find: 'if (check.may === "wait")', replace: "if (receiver.pk === '')" }],
  },
  {
    name: "posts that end together are charged only in part",
    caughtBy: {
      file: "webhooks/share.test.ts",
      title: "posts that end at the same moment are all charged, even 64",
    },
    edits: [{ file: "webhooks/share.ts", find: "const TRIES = 80;", replace: "const TRIES = 20;" }],
  },
  {
    name: "a rotation that ends the old key first",
    edits: [
      {
        file: "users/issue.ts",
        find: "  const key = await issueKey(ctx, user, old.role,",
        replace: "  await endKey(ctx, keyHash, now);\n  const key = await issueKey(ctx, user, old.role,",
      },
    ],
  },
  {
    name: "usernames that others can take before their first login",
    caughtBy: {
      file: "users/login.test.ts",
      title: "a user who takes every similar name blocks no other first login",
    },
    edits: [
      {
        file: "users/register.ts",
        find: "of suffixesFor(identity))",
        replace: "of [...suffixesFor(identity)].slice(0, -1))",
      },
    ],
  },
  {
    name: "keys not as disabled as their user",
    edits: [
      {
        file: "users/step.ts",
        find: "{ ...key, disabled: user.disabled, accessChanges }",
        replace: "{ ...key, accessChanges }",
      },
    ],
  },
  {
    name: "a chat message stored twice",
    edits: [
      {
        file: "chat/post.ts",
        find: "if (await writeRecord(ctx, message)) return n;",
        replace:
          "const put = ctx.table.put({ ...message, writers: [ctx.ids.uid()] }, { ifWriter: null });\n    if (await put.then(() => true, () => false)) return n;",
      },
    ],
  },
  {
    name: "a run that cannot be told costs the whole look",
    caughtBy: {
      file: "environments/access/access.test.ts",
      title:
        "a run without an answer fails the request with the reason, delays nothing else, and gets its access later",
    },
    edits: [
      {
        file: "environments/access/access.ts",
        find: "if (error instanceof StepTooOld || error instanceof Conflict) throw error;",
        replace: "if (error instanceof Error) throw error;",
      },
    ],
  },
  {
    name: "active without its keys after a signal",
    caughtBy: {
      file: "environments/access/access.test.ts",
      title: "a run does not become active before it has its keys because of a hint",
    },
    edits: [
      {
        file: "environments/access/access.ts",
        find: "if (refused && now < refused.nextAt) return requeueAt(",
        replace: "if (refused && now < 0) return requeueAt(",
      },
    ],
  },
  {
    name: "keys that cannot be told waited for until preparing is over",
    caughtBy: {
      file: "environments/access/access.test.ts",
      title: "a run that refuses its keys is active after five tries with a note, and gets them later",
    },
    edits: [
      {
        file: "environments/access/access.ts",
        find: "if (isGivenUp(refused)) return undefined;",
        replace: "",
      },
    ],
  },
];
