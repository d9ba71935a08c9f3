import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Volume, VolumeRef, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { runsMounting } from "../runs/observation.ts";
import { type Copy, describeFailure } from "./copy.ts";
import { discard } from "./discard.ts";
import { sync, syncTree } from "./durable.ts";
import { snapshotData } from "./snapshot-directory.ts";
import {
  listVolumeIds,
  makeDraft,
  publish,
  readVolume,
  readVolumeId,
  type VolumeRecord,
  volumeDirectory,
} from "./volume-directory.ts";

export interface Maker {
  readonly home: string;
  readonly copy: Copy;
  readonly making: Map<string, Promise<VolumeRef>>;
  readonly closing: AbortController;
}

type NewVolume = Parameters<Volumes["createVolume"]>[0];

/** A repeated call waits for the same copy. Throws if the token was used for another volume. */
export function makeOnce(host: Maker, wanted: NewVolume): Promise<VolumeRef> {
  const { making } = host;
  const pending = making.get(wanted.token);
  if (pending !== undefined) return pending.then(() => makeOnce(host, wanted));
  const made = describeFailure(() => makeVolume(host, wanted)).finally(() => making.delete(wanted.token));
  making.set(wanted.token, made);
  return made;
}

/** A rename makes the volume visible with its restored data. */
async function makeVolume(host: Maker, { token, sizeGb, zone, snapshotId, key }: NewVolume): Promise<VolumeRef> {
  const { home, copy, closing } = host;
  const id = await readVolumeId(home, token);
  const record: VolumeRecord = { token, zone, sizeGb, snapshot: snapshotId ?? null, key };
  const knownVolume = readVolume(home, id);
  if (knownVolume && !isSame(knownVolume, record)) throw new Error("The token was used for another volume");
  if (knownVolume) return { id, zone };
  const source = snapshotId === undefined ? undefined : snapshotData(home, snapshotId);
  if (snapshotId !== undefined && source === undefined) throw new VolumeRefused("There is no such completed snapshot");
  const draft = makeDraft(join(home, "volumes"), "data");
  try {
    if (source !== undefined) await copy(source, join(draft, "data"), closing.signal);
    writeFileSync(join(draft, "volume.json"), JSON.stringify(record), { mode: 0o600 });
    if (source !== undefined) await syncTree(draft);
    else await sync(join(draft, "volume.json"), draft);
    closing.signal.throwIfAborted();
    publish(draft, volumeDirectory(home, id));
    await sync(join(home, "volumes"));
  } finally {
    await discard(draft);
  }
  return { id, zone };
}

function isSame(left: VolumeRecord, right: VolumeRecord): boolean {
  return left.zone === right.zone && left.sizeGb === right.sizeGb && left.snapshot === right.snapshot;
}

/** Waits for a running copy, because that volume is about to appear. */
export async function listVolumes({ home, making }: Maker, token: string): Promise<Volume[]> {
  await making.get(token)?.catch(() => undefined);
  return listVolumeIds(home).flatMap((id) => {
    const record = readVolume(home, id);
    return record?.token === token ? [volumeSeen(home, id, record)] : [];
  });
}

export function volumeSeen(home: string, id: string, { zone }: VolumeRecord): Volume {
  return { id, zone, attached: runsMounting(home, id).length > 0 };
}
