import { expect, test } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";
import { findGranted, isGrantedRun, takeTerminalTicket } from "./terminal-grants.ts";
import { issueTerminalTicket } from "./terminal-tickets.ts";

const formatWord = ({ phase }: { readonly phase: string }) => phase;
const site = "https://berth.example.com";

async function activeWorld(options: Parameters<typeof memoryWorld>[0] = {}) {
  const world = await memoryWorld(options);
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  const issue = (wanted: { terminal?: string; origin?: string | null } = {}) =>
    issueTerminalTicket(world.as("alice"), "one", { terminal: undefined, origin: null, ...wanted }, formatWord);
  const take = (ticket: string, at: { label?: string; origin?: string | null } = {}) =>
    takeTerminalTicket(world.ctx, ticket, { label: "one", origin: null, ...at });
  return { ...world, uid, issue, take };
}

test("a ticket opens one new terminal of the run for the key that asked for it", async () => {
  const { uid, issue, take, as, ctx } = await activeWorld();

  const { ticket, terminal, label, expiresAt } = await issue({ origin: site });
  const grant = await take(ticket, { origin: site });

  expect(grant).toMatchObject({ uid, run: 1, label: "one", terminal, isNew: true, keyHash: as("alice").actor.keyHash });
  expect([label, expiresAt]).toEqual(["one", ctx.clock.now() + 30_000]);
  expect(terminal).toMatch(/^[0-9a-f]{32}$/);
});

test("of 20 takes of one ticket, at once or later, one succeeds", async () => {
  const { issue, take } = await activeWorld();
  const { ticket } = await issue();

  const takes = await Promise.all(Array.from({ length: 20 }, () => take(ticket)));

  expect(takes.filter((grant) => grant !== undefined)).toHaveLength(1);
  expect(await take(ticket)).toBeUndefined();
});

test("a ticket for a known terminal starts none", async () => {
  const { issue, take } = await activeWorld();
  const { ticket, terminal } = await issue({ terminal: "a".repeat(32) });

  expect([terminal, await take(ticket)]).toMatchObject(["a".repeat(32), { terminal, isNew: false }]);
});

test("a ticket opens nothing 30 s later, and its record expires by itself", async () => {
  const { issue, take, advance, table } = await activeWorld();
  const { ticket } = await issue();
  const [record] = table.all().filter(({ kind }) => kind === "ticket");
  await advance(30_000);

  expect(await take(ticket)).toBeUndefined();
  expect(Number(record?.ttl)).toBeGreaterThan(0);
  expect(JSON.stringify(record)).not.toContain(ticket);
});

test.each([
  ["at another host", { label: "two" }],
  ["by a page, if a program asked for it", { origin: site }],
])("a ticket that is presented %s opens nothing, and is used up", async (_, at) => {
  const { issue, take } = await activeWorld();
  const { ticket } = await issue();

  expect([await take(ticket, at), await take(ticket)]).toEqual([undefined, undefined]);
});

test.each(["", "x", "v".repeat(10_000), "../../key", "é".repeat(43)])(
  "a text that is no ticket is not looked up: %#",
  async (text) => {
    const { ctx } = await activeWorld();
    const get = () => Promise.reject(new Error("looked up"));

    const taken = takeTerminalTicket({ ...ctx, table: { ...ctx.table, get } }, text, { label: "one", origin: null });

    expect(await taken).toBeUndefined();
  },
);

test.each(["null", "o".repeat(301)])("a page with the origin %# gets no ticket", async (origin) => {
  const { issue } = await activeWorld();

  await expect(issue({ origin })).rejects.toMatchObject({ kind: "invalid" });
});

test("another user, an ended environment and a deployment without a gateway get no ticket", async () => {
  const { issue, as, ctx } = await activeWorld();
  const [bob, alice] = [as("bob"), as("alice")];
  const ask = (ctx: typeof bob) => issueTerminalTicket(ctx, "one", { terminal: undefined, origin: null }, formatWord);

  await expect(ask(bob)).rejects.toMatchObject({ kind: "notFound" });
  await expect(ask({ ...alice, settings: { ...ctx.settings, userAccess: "none" } })).rejects.toThrow(
    "Cannot open a terminal of job one: this deployment has no gateway",
  );
  await requestCancel(alice, "one");
  await expect(issue()).rejects.toThrow("Cannot open a terminal of job one in status active");
});

test("a grant ends with its run", async () => {
  const { issue, take, as, ctx } = await activeWorld();
  const grant = await take((await issue()).ticket);
  if (!grant) throw new Error("No grant");
  const find = () => findGranted(ctx, grant.environment);
  const before = isGrantedRun(await find(), grant);
  const another = isGrantedRun(await find(), { ...grant, uid: "0".repeat(32) });
  await requestCancel(as("alice"), "one");

  expect([before, another, isGrantedRun(await find(), grant)]).toEqual([true, false, false]);
  expect(isGrantedRun(undefined, grant)).toBe(false);
});
