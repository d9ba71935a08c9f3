import { parseSshEntry, type SshEntry } from "#core/environments/access/ssh-entry.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { currentNotice, endMessage } from "#core/environments/steps/notices.ts";
import { requestCancel, requestExtension } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { Table } from "#core/ports/table.ts";
import { sshLoginPartition } from "#core/store/keys.ts";
import { HOUR_MS } from "#core/units.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import type { DirectoryUnderTest } from "#tests/conformance/directory.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { tableDirectory } from "./table-directory.ts";

export interface TableDirectoryFixture extends DirectoryUnderTest {
  readonly world: MemoryWorld;
  /** The calls of the directory to the table. */
  readonly calls: string[];
  read(run: string): Promise<Environment>;
  /** Gives a run more time, and returns the words for its users. */
  extend(run: string): Promise<string>;
  /** Removes a key of a run. */
  removeKey(login: string, key: string): Promise<void>;
}

/** The core on memory ports or on this table, and a directory over it. Each environment has an owner of its own. */
export async function openTableDirectory(table?: Table, startAt?: number): Promise<TableDirectoryFixture> {
  const settings = { sshGateway: { host: "ssh.berth.dev", port: 22 } };
  const world = await memoryWorld({
    nodes: newNodes({ h100: 8 }),
    settings,
    ...(table && { table }),
    ...(startAt && { startAt }),
  });
  const calls: string[] = [];
  const directory = tableDirectory({ ...world.ctx, table: countedPort("table", world.ctx.table, calls) });
  const owners = new Map<string, string>();
  const getOwner = (run: string) => owners.get(run) ?? "";
  const read = (run: string) => world.read(getOwner(run), "job");
  return {
    world,
    directory,
    calls,
    read,
    begin: async ({ login, keys, hasDisk }) => {
      const owner = `user-${owners.size}`;
      const input = newEnvironment("job", { gpus: 1, disk: hasDisk && "data" });
      const { uid } = await createEnvironment(world.as(owner), { ...input, login, sshKeys: keys });
      await world.advance(60_000);
      const run = nameOfRun({ uid, run: 1 });
      owners.set(run, owner);
      return run;
    },
    warn: async (run) => {
      await world.advance(35 * 60_000);
      return currentNotice(await read(run))?.words ?? "no notice";
    },
    extend: async (run) => {
      await requestExtension(world.as(getOwner(run)), "job", HOUR_MS);
      await world.advance(10_000);
      return currentNotice(await read(run))?.words ?? "no notice";
    },
    removeKey: async (login, key) => {
      const { items } = await world.ctx.table.query({ pk: sshLoginPartition(login) });
      for (const entry of items.map(parseSshEntry)) {
        const changed: SshEntry = { ...entry, keys: entry.keys.filter((each) => each !== key) };
        await world.ctx.table.put(changed);
      }
    },
    end: async (run) => {
      await requestCancel(world.as(getOwner(run)), "job");
      await world.advance(120_000);
      return endMessage(await read(run));
    },
    wait: async () => world.clock.advance(6_000),
  };
}
