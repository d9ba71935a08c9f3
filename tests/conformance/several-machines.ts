import { describe, expect, it } from "vitest";
import type { LedgerItem } from "#core/pools/ledger/record.ts";
import type { ConditionalPut, Item, Table } from "#core/ports/table.ts";
import { Conflict } from "#core/problem.ts";
import type { NodeGroup } from "#core/settings.ts";
import { listMachineNames } from "#core/text/machine-names.ts";
import { submitJob } from "../fixtures/catalog-requests.ts";
import { type HttpWorld, type HttpWorldOptions, httpWorld } from "../worlds/http-world.ts";
import { newNodes } from "../worlds/memory-world.ts";
import { viewPool } from "../worlds/pool-view.ts";

const MINUTE = 60_000;

/** Tests of jobs that take whole machines, on a Table with transactions. Each test opens a new one. */
export function severalMachineCases(open: () => Promise<Table>, counts: readonly number[]): void {
  describe.each(counts)("a job of %i machines", (count) => {
    const start: Start = async ({ wrapTable = (table: Table) => table, ...options } = {}) =>
      startedOn(wrapTable(await open()), count, options);

    itsLife(start);
    itsLine(start);
    allOrNothing(start, count);
  });
}

type Start = (
  options?: HttpWorldOptions & { readonly wrapTable?: (table: Table) => Table },
) => ReturnType<typeof startedOn>;

function itsLife(start: Start): void {
  it("is active on all of them, shows its access, and releases all at its end", async () => {
    const { world, names, gpus, uidOf, submit, job, free } = await start({ access: { sshPort: 2222 } });
    world.githubKeys.publish("octocat", `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}`);
    const id = await submit({ command: "train", duration_hours: 1, github_user: "octocat" });
    const uid = uidOf(id);
    world.compute.program(uid, { kind: "exits", code: 0, afterMs: 30_000 });

    await world.advance(5_000);
    const active = await job(id);
    const [during, held] = [await free(), await getHoldings(world)];
    await world.advance(MINUTE);

    const pod = `gpu-dev-${id.slice(0, 8)}`;
    const access = {
      pod_name: pod,
      node_ip: "127.0.0.1",
      node_port: 2222,
      ssh_command: `ssh -p 2222 ${pod}-${uid.slice(0, 8)}@127.0.0.1`,
    };
    expect(active).toMatchObject({ status: "active", gpu_count: gpus, status_reason: null, ...access });
    expect(listReasons(active)).toContain(`Capacity granted on ${listMachineNames(names)}`);
    expect(during).toEqual({ total: gpus, available: 0, in_use: gpus });
    expect(held).toEqual(onEach(names, `${uid} held`));
    expect(await job(id)).toMatchObject({ status: "completed", node_ip: null, ssh_command: null });
    expect(await free()).toEqual({ total: gpus, available: gpus, in_use: 0 });
    expect(await getHoldings(world)).toEqual(onEach(names));
    expect(listStarts(world, names, uid)).toEqual({ starts: 1, peaks: names.map(() => 8) });
  });

  it("is cancelled while it runs, and all machines go to the next job", async () => {
    const { world, names, uidOf, submit, cancel, job } = await start();
    const first = await submit();
    await world.advance(5_000);
    const behind = await submit();
    await world.advance(5_000);
    const waiting = await job(behind);

    await cancel(first);
    await world.advance(20_000);

    expect(waiting).toMatchObject({ status: "queued", queue_position: 1 });
    expect(await job(first)).toMatchObject({ status: "cancelled", actions: [{ status: "done" }] });
    expect(await job(behind)).toMatchObject({ status: "active", queue_position: null });
    const uid = uidOf(behind);
    expect(await getHoldings(world)).toEqual(onEach(names, `${uid} held`));
    expect(listStarts(world, names, uid)).toEqual({ starts: 1, peaks: names.map(() => 8) });
  });

  it("is lost when one of its machines is, and releases only the others", async () => {
    const { world, names, gpus, uidOf, submit, job, free } = await start();
    const id = await submit();
    await world.advance(5_000);

    world.compute.removeNode("h100-2");
    world.compute.setMachine("node-h100-2", "gone");
    await world.advance(3 * MINUTE);

    expect(await job(id)).toMatchObject({
      status: "failed",
      status_reason: "Its machine was lost: h100-2",
      node_ip: null,
    });
    expect(await free()).toEqual({ total: gpus - 8, available: gpus - 8, in_use: 0 });
    expect(await getHoldings(world)).toEqual(onEach(names.filter((name) => name !== "h100-2")));
    expect(listStarts(world, names, uidOf(id))).toEqual({ starts: 1, peaks: names.map(() => 8) });
  });
}

function itsLine(start: Start): void {
  it("waits while one machine is not free without units of the others, and leaves no trace when cancelled", async () => {
    const { world, names, gpus, uidOf, submit, cancel, job, free } = await start();
    const small = await submit({ gpu_count: 8 });
    await world.advance(5_000);
    const large = await submit();
    await world.advance(5_000);
    const [waiting, before] = [await job(large), await getHoldings(world)];

    await cancel(large);
    await world.advance(20_000);

    expect(waiting).toMatchObject({ status: "queued", queue_position: 1, node_ip: null, ssh_command: null });
    const none = names.slice(1).map(() => []);
    const ofSmall = [`${uidOf(small)} held`];
    expect(Object.values(before).sort()).toEqual([...none, ofSmall]);
    expect(await job(large)).toMatchObject({ status: "cancelled", queue_position: null });
    expect(Object.values(await getHoldings(world)).sort()).toEqual([...none, ofSmall]);
    expect(await free()).toEqual({ total: gpus, available: gpus - 8, in_use: 8 });
    expect(world.compute.starts(uidOf(large), 1)).toBe(0);
  });
}

function allOrNothing(start: Start, count: number): void {
  it.each([
    ["first", 0],
    ["last", count - 1],
  ])("gets all machines or none when the ledger of the %s changes meanwhile, and all soon after", async (_, at) => {
    const parts: string[][] = [];
    const wrapTable = (table: Table) => hurried(table, at, async (puts) => parts.push(...(await heldIn(table, puts))));
    const { world, names, uidOf, submit, job } = await start({ wrapTable });
    const id = await submit();

    await world.advance(10_000);

    expect(parts).toEqual(names.map(() => []));
    expect(await job(id)).toMatchObject({ status: "active" });
    const uid = uidOf(id);
    expect(await getHoldings(world)).toEqual(onEach(names, `${uid} held`));
    expect(listStarts(world, names, uid)).toEqual({ starts: 1, peaks: names.map(() => 8) });
  });

  it("moves from machines still to be created to the new ones, only as a whole", async () => {
    const nodeGroups: NodeGroup[] = [{ pool: "h100", mostNodes: count, startupMs: 2 * MINUTE, zones: [] }];
    const left: string[][] = [];
    const wrapTable = (table: Table) => hurried(table, 1, async (puts) => left.push(...(await heldIn(table, puts))));
    const { world, names, uidOf, submit, job } = await start({ nodes: [], settings: { nodeGroups }, wrapTable });
    const id = await submit();
    await world.advance(30_000);
    const early = await job(id);
    const uid = uidOf(id);
    const unpinned = await getUnpinned(world);

    for (const node of newNodes({ h100: count })) world.compute.setNode(node);
    await world.advance(2 * MINUTE);

    const toBeMade = listMachineNames(names.map(() => "a node still to be made"));
    expect(listReasons(early)).toContain(`Capacity granted on ${toBeMade}`);
    expect(unpinned).toEqual([uid]);
    expect(left.sort((a, b) => a.length - b.length)).toEqual([...names.map(() => []), [uid]]);
    expect(await job(id)).toMatchObject({ status: "active" });
    expect(await getUnpinned(world)).toEqual([]);
    expect(await getHoldings(world)).toEqual(onEach(names, `${uid} held`));
  });
}

/** Starts the whole catalog on this table with as many machines as its jobs take. */
async function startedOn(table: Table, machines: number, options: HttpWorldOptions) {
  const nodes = newNodes({ h100: machines });
  const uids = new Map<unknown, string>();
  const put: Table["put"] = async (item, condition) => {
    const { kind, id, uid } = item as Item;
    if (kind === "environment") uids.set(id, String(uid));
    await table.put(item, condition);
  };
  const world = await httpWorld({ nodes, ...options, table: { ...table, put } });
  const key = await world.login();
  const ask = async (method: string, path: string) => {
    const response = await world.request(method, path, { key });
    expect(response.status).toBe(200);
    return (await response.json()) as Shown;
  };
  return {
    world,
    names: nodes.map(({ name }) => name),
    gpus: 8 * machines,
    uidOf: (id: string) => uids.get(id) ?? "",
    submit: (fields: object = {}) => submitJob(world, key, { gpu_count: 8 * machines, ...fields }),
    cancel: (id: string) => ask("POST", `/v1/jobs/${id}/cancel`),
    job: (id: string) => ask("GET", `/v1/jobs/${id}`),
    free: async () => {
      const { availability } = (await ask("GET", "/v1/gpu/availability")) as { readonly availability: Shown };
      const { total, available, in_use } = availability.h100 as Shown;
      return { total, available, in_use };
    },
  };
}

type Shown = Readonly<Record<string, unknown>>;

function listReasons({ timeline }: Shown): unknown[] {
  return (timeline as readonly Shown[]).map(({ reason }) => reason);
}

function onEach(names: readonly string[], ...holders: string[]): Record<string, string[]> {
  return Object.fromEntries(names.map((name) => [name, holders]));
}

/** Returns the holders in each machine's ledger item, by the machine's name. */
async function getHoldings({ ctx }: HttpWorld): Promise<Record<string, string[]>> {
  const nodes = (await viewPool(ctx, "h100"))?.nodes ?? [];
  return Object.fromEntries(
    nodes.map(({ name, granted, held }) => [
      name,
      [...granted.map(({ uid }) => `${uid} granted`), ...held.map(({ uid }) => `${uid} held`)],
    ]),
  );
}

/** Returns who is granted or holds machines that do not exist yet. */
async function getUnpinned({ ctx }: HttpWorld): Promise<string[]> {
  const { granted = [], held = [] } = (await viewPool(ctx, "h100")) ?? {};
  return [...granted, ...held].filter(({ shares }) => shares.some(({ node }) => node === null)).map(({ uid }) => uid);
}

/** Counts the starts of a command, and the peak of used units on each machine. */
function listStarts({ compute }: HttpWorld, names: readonly string[], uid: string) {
  return { starts: compute.starts(uid, 1), peaks: names.map(compute.peakUnits) };
}

/** Returns the table, but another writer changes an item of the first `putAll` of several existing items before it. */
function hurried(table: Table, at: number, refused: (puts: readonly ConditionalPut[]) => Promise<unknown>): Table {
  let isDone = false;
  return {
    ...table,
    async putAll(puts) {
      const item = puts[at]?.item;
      if (isDone || puts.length < 2 || !item) return table.putAll(puts);
      const present = await Promise.all(puts.map((put) => table.get(put.item)));
      const hit = present[at];
      // New machines are written together with the machines that do not exist yet, which conflict with no one.
      if (!hit || present.includes(undefined)) return table.putAll(puts);
      isDone = true;
      await table.put({ ...hit, writers: ["somebody else", ...hit.writers] });
      await table.putAll(puts).catch(async (error: unknown) => {
        if (error instanceof Conflict) await refused(puts);
        throw error;
      });
    },
  };
}

/** Returns who has capacity, or is granted it, in each of these ledger items. */
async function heldIn(table: Table, puts: readonly ConditionalPut[]): Promise<string[][]> {
  const items = await Promise.all(puts.map(({ item }) => table.get(item)));
  return items.map((item) => {
    const { granted, held } = item as unknown as LedgerItem;
    return [...granted, ...held].map(({ uid }) => uid);
  });
}
