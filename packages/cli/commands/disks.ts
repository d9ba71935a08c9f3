import type { Berth } from "../../sdk/berth.ts";
import type { Disk, DiskRequested } from "../../sdk/disks.ts";
import { NotFoundError } from "../../sdk/errors.ts";
import { CliError, exitCodes } from "../failure.ts";
import { connect } from "../login/connect.ts";
import { collect } from "../terminal/collect.ts";
import { table } from "../terminal/layout.ts";
import { ask, isInteractive, out, outJson, outputColumns, say, shownTime } from "../terminal/terminal.ts";
import { printable, printableLog, told } from "../terminal/text.ts";
import { showView, type ViewFlags } from "../terminal/view.ts";

interface JsonFlags {
  readonly json: boolean;
}

/** Prints the disks. */
export function list({ deleted, ...flags }: ViewFlags & { readonly deleted: boolean }): Promise<void> {
  return showView(flags, (berth) => ({
    read: () => collect(berth.disks.list({ deleted })),
    describe: describeDisks,
    emptyWords: deleted ? "You have no deleted disks." : "You have no disks.",
  }));
}

function describeDisks(disks: readonly Disk[]): string {
  if (disks.length === 0) return "";
  const rows = disks.map((disk) => [
    disk.disk_name,
    told`${disk.size_gb} GB`,
    describeState(disk),
    told`${disk.snapshot_count}`,
    disk.last_used === null ? "never" : shownTime(disk.last_used),
  ]);
  return table([["NAME", "SIZE", "STATE", "SNAPSHOTS", "LAST USED"], ...rows], outputColumns(), {
    cut: ["NAME", "STATE"],
    leaveOut: ["SNAPSHOTS"],
  });
}

/** Returns "unknown" instead of "free" if an older deployment left out whether a job uses the disk. */
function describeState({ is_deleted, in_use, is_backing_up, reservation_id, delete_date }: Partial<Disk>): string {
  if (is_deleted) return told`deleted, gone on ${delete_date ?? "an unknown day"}`;
  if (in_use) return told`used by ${reservation_id?.slice(0, 8) ?? "a job"}`;
  if (is_backing_up) return "backing up";
  return in_use === undefined ? "unknown" : "free";
}

/** Creates a disk. */
export async function create({ size, json }: JsonFlags & { readonly size?: number }, name: string): Promise<void> {
  const berth = await connect();
  const request = { disk_name: name, ...(size !== undefined && { size_gb: size }) };
  await settle(berth, await berth.disks.create(request), json, `Made disk ${printable(name)}.`);
}

interface RemoveFlags extends JsonFlags {
  readonly yes: boolean;
}

/** Deletes a disk. On a terminal its name is typed once more. */
export async function remove({ yes, json }: RemoveFlags, name: string): Promise<void> {
  const berth = await connect();
  const { disk_name, snapshot_count } = await berth.disks.get(name);
  if (!yes) await confirmName(disk_name, snapshot_count);
  const requested = await berth.disks.delete(disk_name);
  const words = told`Deleted disk ${disk_name}. Bring it back with: berth disks undelete ${disk_name}`;
  await settle(berth, requested, json, words);
}

async function confirmName(name: string, snapshots: number): Promise<void> {
  if (!isInteractive()) throw new CliError("This question needs a terminal", exitCodes.usage, "Give --yes");
  say(told`Disk ${name} and its ${snapshots} snapshots go for good after 30 days.`);
  if ((await ask("Type its name to delete it: ")) !== name)
    throw new CliError("Nothing was deleted", exitCodes.failed, "Type the whole name, or give --yes");
}

/** Brings a deleted disk back. */
export async function undelete({ json }: JsonFlags, name: string): Promise<void> {
  const berth = await connect();
  const requested = await berth.disks.undelete(name).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
    const hint = "List your deleted disks with: berth disks ls --deleted";
    throw new CliError(error.message, exitCodes.notFound, hint, error.requestId);
  });
  await settle(berth, requested, json, `Disk ${printable(name)} is back.`);
}

/** Gives a disk another name. */
export async function rename({ json }: JsonFlags, name: string, newName: string): Promise<void> {
  const renamed = await (await connect()).disks.rename(name, newName);
  if (json) return outJson(renamed);
  out(`${printable(renamed.message)}\n`);
}

/** Creates a snapshot of a disk and waits for the outcome. */
export async function snapshot({ json }: JsonFlags, name: string): Promise<void> {
  const berth = await connect();
  const requested = await berth.disks.snapshot(name);
  if (requested.replaces !== null) say(printable(requested.message));
  const operation = await berth.disks.settle(requested);
  if (json) return outJson(operation);
  out(told`Made snapshot ${operation.snapshot_id ?? ""} of disk ${name}.\n`);
}

/** Prints the snapshots of a disk. */
export async function snapshots({ json }: JsonFlags, name: string): Promise<void> {
  const found = await collect((await connect()).disks.snapshots(name));
  if (json) return outJson(found);
  if (found.length === 0) return say(`Disk ${printable(name)} has no snapshots.`);
  const rows = found.map(({ snapshot_id, status, snapshot_date, kind }) => {
    return [
      snapshot_id,
      status,
      snapshot_date === null ? "" : shownTime(snapshot_date),
      kind === "backup" ? "backup" : "on demand",
    ];
  });
  out(table([["SNAPSHOT", "STATUS", "DATE", "KIND"], ...rows], outputColumns()));
}

/** Creates a disk from a snapshot: the newest completed one, unless one is named. */
export async function restore(
  { snapshot, json }: JsonFlags & { readonly snapshot?: string },
  name: string,
  newName: string,
): Promise<void> {
  const berth = await connect();
  const id = snapshot ?? (await newestSnapshot(berth, name));
  const restored = await berth.disks.restore(name, { snapshot_id: id, new_name: newName });
  const words = told`Disk ${newName} will hold ${name} as of ${restored.snapshot_date}.`;
  await settle(berth, restored, json, words);
}

async function newestSnapshot(berth: Berth, name: string): Promise<string> {
  const found = await collect(berth.disks.snapshots(name));
  const newest = found.find(({ status }) => status === "completed");
  if (newest) return newest.snapshot_id;
  const hint = told`Make one with: berth disks snapshot ${name}`;
  throw new CliError(`Disk '${printable(name)}' has no completed snapshot`, exitCodes.notFound, hint);
}

/** Prints which files the last backup saw. */
export async function listFiles({ json }: JsonFlags, name: string): Promise<void> {
  const found = await (await connect()).disks.content(name);
  if (json) return outJson(found);
  if (found.content === null) return say(printable(found.message ?? "Nothing is known of its files."));
  out(printableLog(found.content));
}

async function settle(berth: Berth, requested: DiskRequested, json: boolean, words: string): Promise<void> {
  const operation = await berth.disks.settle(requested);
  if (json) return outJson(operation);
  out(`${words}\n`);
}
