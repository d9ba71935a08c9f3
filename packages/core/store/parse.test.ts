import { beforeAll, expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { audited, listAudit } from "../admin/audit.ts";
import { compareOrphans, readOrphans } from "../admin/orphans.ts";
import { parseInbox, parseMessage } from "../chat/record.ts";
import { parseDirectory } from "../disks/names/directory.ts";
import { getOperation } from "../disks/operations.ts";
import { parseDisk } from "../disks/parse.ts";
import { deleteDisk } from "../disks/requests.ts";
import { parseAccess } from "../environments/access/guests.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { decryptSpec } from "../environments/record/spec.ts";
import { requestCancel, requestExtension } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { drainPool, readAdmission } from "../pools/admission/admission.ts";
import { drainPart } from "../pools/admission/drain-part.ts";
import { parsePool } from "../pools/ledger/parse.ts";
import type { Item } from "../ports/table.ts";
import { issueKey } from "../users/issue.ts";
import { parseApiKey, parseUser } from "../users/record.ts";
import { findOrCreateUser } from "../users/register.ts";
import { parseDelivery } from "../webhooks/delivery.ts";
import { getDueShard } from "./due.ts";
import { inboxKey } from "./keys.ts";
import { FORMAT, Unreadable } from "./unreadable.ts";

type World = Awaited<ReturnType<typeof memoryWorld>>;

const alice = { role: "r", account: "1", session: "alice" };

/** Records of every kind as the core wrote them, with their parsers. */
let world: World;
const parsers: Readonly<Record<string, (item: Item) => unknown>> = {
  environment: parseEnvironment,
  pool: parsePool,
  disk: parseDisk,
  user: parseUser,
  key: parseApiKey,
  inbox: parseInbox,
  message: parseMessage,
  delivery: parseDelivery,
  directory: parseDirectory,
  spec: (item) => decryptSpec(world.ctx.sealer, item),
  operation: (item) => getOperation(getTable(item), "o", String(item.name), String(item.id)),
  admission: (item) => readAdmission(getTable(item)),
  counter: (item) => findOrCreateUser(getTable(item, "counter#user"), { ...alice, session: "bob" }),
  access: parseAccess,
  orphans: (item) => readOrphans(getTable(item)),
  identity: (item) => findOrCreateUser(getTable(item, String(item.pk)), alice),
};

/** Wraps the table to return this item for every read, or only at its key. */
function getTable(item: Item, pk?: string): World["ctx"] {
  const get: typeof world.table.get = async (key) => (pk === undefined || key.pk === pk ? item : world.table.get(key));
  return { ...world.ctx, table: { ...world.table, get, put: async () => {} } };
}

beforeAll(async () => {
  world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const ctx = world.as("alice");
  world.githubKeys.publish("octocat", `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}`);
  const rich = { receiver: "https://hooks.example.com/a", guest: "octocat", jupyter: true, sshKeys: [] };
  const made = await createEnvironment(ctx, { ...newEnvironment("one", { disk: "data", command: "make" }), ...rich });
  world.compute.program(made.uid, { kind: "lives" }, { log: "hello" });
  await createEnvironment(ctx, { ...newEnvironment("two"), labels: { tier: "gold" } });
  await world.advance(60_000);
  await requestExtension(ctx, "one", 3_600_000);
  await world.advance(60_000);
  await requestCancel(world.as("alice"), "two");
  const user = await findOrCreateUser(world.ctx, alice);
  await issueKey(world.ctx, user, "r");
  await drainPool(world.ctx, "a100", true);
  await createEnvironment(ctx, newEnvironment("three", { disk: "other", gpus: 1 }));
  await requestCancel(ctx, "three");
  await world.advance(60_000);
  await deleteDisk(ctx, "other");
  await audited(ctx, { action: "drain_pool", target: null, requestId: "r" }, async () => {});
  await drainPart(world.ctx, "h100", { node: "h100-1" }, { by: "ada", reason: "New disk" });
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, { by: "ada", reason: null });
  await putChat(made.uid, made);
  await compareOrphans(world.ctx);
});

async function putChat(uid: string, of: { pk: string; sk: string }): Promise<void> {
  const key = inboxKey(uid);
  const claim = { n: 1, attempt: 1, until: 9 };
  const counts = { settled: 0, dropTo: 0, claims: 1, looks: 0, attempts: 0, fault: null };
  const shard = { dueShard: getDueShard(world.ctx.ids, key), dueAt: 5e14 };
  const inbox = { kind: "inbox", uid, owner: "o", environment: `${of.pk}|${of.sk}`, claim, ...counts, ...shard };
  await world.table.put({ ...key, writers: ["w"], ...inbox } as never);
  const said = { kind: "message", uid, n: 1, at: 1, run: 1, state: "waiting", text: "hi", reply: null };
  await world.table.put({ pk: `chat#${uid}`, sk: "000000000001", writers: ["w"], ...said } as never);
}

function listRecords(kind: string): Item[] {
  const found = world.table.all().filter((item) => item.kind === kind);
  if (found.length === 0) throw new Error(`No record of kind ${kind}`);
  return found;
}

async function isRead(kind: string, item: Item): Promise<boolean> {
  try {
    await parsers[kind]?.(item);
    return true;
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}

const common = ["pk", "sk", "writers", "format", "kind"];

/** Returns every copy of a value with one field replaced by an invalid value. */
function* spoiled(value: unknown, path = ""): Generator<{ path: string; copy: unknown }> {
  if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      for (const { path: at, copy } of spoiled(inner, `${path}.${name}`)) {
        yield { path: at, copy: Array.isArray(value) ? value.with(Number(name), copy) : { ...value, [name]: copy } };
      }
    }
  }
  yield { path, copy: [7] };
}

/** A delivery's body belongs to its dialect, and only the base of its environment's copy is checked. */
const free: Readonly<Record<string, RegExp>> = {
  // A list of counts, so [7] is valid.
  pool: /^\.summary\.mostFree$/,
  delivery: /^\.environment\.(?!(pk|sk|uid|owner|id|createdBy|phase|size)\b)/,
};

for (const kind of Object.keys(parsers)) {
  test(`a ${kind} record is read as it was written, and rejected with any field spoiled`, async () => {
    for (const item of listRecords(kind)) {
      expect(await isRead(kind, item), item.sk).toBe(true);
      const fields = Object.fromEntries(Object.entries(item).filter(([name]) => !common.includes(name)));
      for (const { path, copy } of spoiled(fields)) {
        if (path === "" || free[kind]?.test(path)) continue;
        expect(await isRead(kind, { ...item, ...(copy as object) }), `${kind}${path}`).toBe(false);
      }
    }
  });

  test(`a ${kind} record of another kind or of a newer format is rejected`, async () => {
    const [item] = listRecords(kind) as [Item];

    expect(await isRead(kind, { ...item, kind: "nonsense" })).toBe(false);
    expect(await isRead(kind, { ...item, format: FORMAT })).toBe(true);
    expect(await isRead(kind, { ...item, format: FORMAT + 1 })).toBe(false);
  });
}

test("an unreadable audit record is left out of the list", async () => {
  const [item] = listRecords("audit") as [Item];
  await world.table.put({ ...item, sk: `${item.sk}x`, at: "yesterday" } as never);

  expect(await listAudit(world.ctx, 10)).toHaveLength(listRecords("audit").length - 1);
});

test.each([
  ["that is active since never", { run: { startedAt: null } }],
  ["that runs on nothing", { run: { grant: null } }],
  ["whose grant names no machine", { run: { grant: { shares: [], at: 1 } } }],
  ["that ended and still holds capacity", { phase: "completed" }],
  ["without a time to reconcile it", { dueAt: undefined }],
  ["of another owner than its key says", { owner: "f".repeat(32) }],
  ["that waits while it runs", { waitPool: "h100", waitOrder: "0#0" }],
])("rejects an environment %s", async (_, fields) => {
  const item = listRecords("environment").find(({ phase }) => phase === "active");

  const run = { ...(item?.run as object), ...("run" in fields ? fields.run : {}) };
  expect(await isRead("environment", { ...item, ...fields, run } as Item)).toBe(false);
});
