import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { largestItems } from "#tests/largest/items.ts";
import { forecastOfDigit } from "#tests/largest/pool-items.ts";
import { beyondBound, bounds, type ItemKind } from "#tests/simulator/invariants/bounds.ts";
import { parseInbox, parseMessage } from "../chat/record.ts";
import { parseDirectory } from "../disks/names/directory.ts";
import { parseDisk } from "../disks/parse.ts";
import { parseAccess } from "../environments/access/guests.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { parseSpec } from "../environments/record/spec.ts";
import { parseMakeable, parseNodeLedger, parsePool } from "../pools/ledger/parse.ts";
import type { Item } from "../ports/table.ts";
import { parseApiKey, parseNameClaim, parseUser } from "../users/record.ts";
import { parseDelivery } from "../webhooks/delivery.ts";

const kinds = Object.keys(bounds) as ItemKind[];
const toItem = (kind: ItemKind): Item => largestItems[kind];

test.each(kinds)("the table accepts the largest %s, which is within its bound and not far below it", async (kind) => {
  const table = memoryTable();

  await table.put(toItem(kind));
  const stored = (await table.get(toItem(kind))) as Item;

  expect(stored.kind).toBe(kind);
  expect(beyondBound(stored)).toBeUndefined();
  expect(Buffer.byteLength(JSON.stringify(stored))).toBeGreaterThan(bounds[kind] / 8);
});

test("the largest records are readable", () => {
  const parsers = {
    environment: parseEnvironment,
    spec: parseSpec,
    access: parseAccess,
    disk: parseDisk,
    directory: parseDirectory,
    inbox: parseInbox,
    message: parseMessage,
    delivery: parseDelivery,
    user: parseUser,
    key: parseApiKey,
    username: parseNameClaim,
    pool: parsePool,
    node: parseNodeLedger,
    makeable: parseMakeable,
  } satisfies Partial<Record<ItemKind, unknown>>;

  for (const [kind, parse] of Object.entries(parsers)) expect(parse(toItem(kind as ItemKind)).kind, kind).toBe(kind);
});

test("the forecast for one first digit is no larger than the forecast for the pool", () => {
  expect(beyondBound(forecastOfDigit)).toBeUndefined();
});

test("every kind of item that the code writes has a bound, and no other", () => {
  const sources = globSync("packages/{core,local}/**/*.ts").filter((path) => !path.endsWith(".test.ts"));
  const texts = sources.map((path) => readFileSync(path, "utf8"));
  const declared = /extends (?:Stored|LedgerEntries)[^{]*\{\s*readonly kind: "([^"]+)"/g;
  const written = /writers: [^{}]{0,80}?kind: "([^"]+)"/g;

  const found = texts.flatMap((text) => [declared, written].flatMap((form) => [...text.matchAll(form)]));

  expect([...new Set(found.map(([, kind]) => kind))].sort()).toEqual([...kinds].sort());
});
