import {
  CreateSnapshotCommand,
  CreateTagsCommand,
  DeleteSnapshotCommand,
  DescribeSnapshotsCommand,
  type Snapshot as Ec2Snapshot,
  type Filter,
  paginateDescribeSnapshots,
} from "@aws-sdk/client-ec2";
import type { OwnedSnapshot, SnapshotPage, SnapshotTags, VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { findRecordKey, hasTag, recordTag, specified, tagged, tagName, tagValue } from "./ebs-tags.ts";
import { type EbsOptions, isId, isNotFound, throwDescribed, unlessNotFound } from "./ec2-client.ts";

export type EbsSnapshots = Pick<
  Volumes,
  "createSnapshot" | "listSnapshots" | "listOwnedSnapshots" | "findSnapshot" | "removeSnapshot" | "tagSnapshot"
>;

/** Ignores foreign snapshots, even with our tags. */
export function ebsSnapshots(options: EbsOptions): EbsSnapshots {
  return {
    createSnapshot: (volumeId, tags) => createSnapshot(options, volumeId, tags),
    listSnapshots: (volumeId) => listSnapshots(options, volumeId),
    listOwnedSnapshots: (after) => listOwnedSnapshots(options, after),
    findSnapshot: (id) => findSnapshot(options, id),
    removeSnapshot: (id) => removeSnapshot(options, id),
    tagSnapshot: (id, tags) => tagSnapshot(options, id, tags),
  };
}

/** Creates a snapshot without a retry: EC2 accepts no idempotency token (docs/architecture/consistency.md#claims). */
async function createSnapshot(
  { once, deployment, changing }: EbsOptions,
  VolumeId: string,
  { name, disk, attempt, key }: SnapshotTags,
): Promise<VolumeSnapshot> {
  if (!isId(VolumeId, "vol")) throw new VolumeRefused("That is not an EBS volume");
  const values = { [tagName.deployment]: deployment, [tagName.disk]: disk, [tagName.attempt]: attempt };
  const command = new CreateSnapshotCommand({
    VolumeId,
    Description: formatDescription(deployment, attempt),
    TagSpecifications: specified("snapshot", { ...values, ...recordTag(key), [tagName.name]: name }),
  });
  return toSnapshot(await once.send(command, { abortSignal: changing() }).catch(throwDescribed), attempt);
}

/** Returns the description, which is immutable, so it names the creator even after the tags are gone. */
function formatDescription(deployment: string, attempt: string): string {
  return `Berth ${deployment} ${attempt}`;
}

function findAttempt({ Description = "" }: Ec2Snapshot, deployment: string): string | undefined {
  const mark = formatDescription(deployment, "");
  return Description.startsWith(mark) ? Description.slice(mark.length) : undefined;
}

async function listSnapshots(options: EbsOptions, volumeId: string): Promise<VolumeSnapshot[]> {
  if (!isId(volumeId, "vol")) return [];
  const snapshots = await describeAll(options, { Name: "volume-id", Values: [volumeId] });
  return snapshots
    .filter(({ VolumeId }) => VolumeId === volumeId)
    .flatMap((snapshot) => toOwnSnapshots(snapshot, options.deployment));
}

/** Lists the snapshots with their owners. Omits those without tags, which name no record. */
async function listOwnedSnapshots({ client, deployment }: EbsOptions, after?: string): Promise<SnapshotPage> {
  const query = ownQuery(hasTag(tagName.deployment, deployment));
  const page = { MaxResults: PAGE_SIZE, ...(after !== undefined && { NextToken: after }) };
  const { Snapshots = [], NextToken: next } = await client.send(new DescribeSnapshotsCommand({ ...query, ...page }));
  const snapshots = Snapshots.flatMap((snapshot) => toOwnSnapshots(snapshot, deployment)).map(toOwnedSnapshot);
  // EC2 sends an empty token with the last page (EC2 API reference, DescribeSnapshots).
  return { snapshots, ...(next && { next }) };
}

async function describeAll({ client }: EbsOptions, filter: Filter): Promise<Ec2Snapshot[]> {
  const found: Ec2Snapshot[] = [];
  for await (const page of paginateDescribeSnapshots({ client, pageSize: PAGE_SIZE }, ownQuery(filter))) {
    found.push(...(page.Snapshots ?? []));
  }
  return found;
}

/** With more than 1,000 a page, EC2 may time out (EC2 API reference, DescribeSnapshots). */
const PAGE_SIZE = 500;

function ownQuery(filter: Filter) {
  return { OwnerIds: ["self"], Filters: [filter] };
}

async function describe({ client }: EbsOptions, id: string): Promise<Ec2Snapshot | undefined> {
  const command = new DescribeSnapshotsCommand({ SnapshotIds: [id], OwnerIds: ["self"] });
  return (await unlessNotFound(client.send(command)).catch(throwDescribed))?.Snapshots?.[0];
}

function toOwnedSnapshot({ id, tags, state }: VolumeSnapshot): OwnedSnapshot {
  return { id, key: tags.key ?? null, tags, ...(state === "pending" && { isPending: true }) };
}

function toOwnSnapshots(snapshot: Ec2Snapshot, deployment: string): VolumeSnapshot[] {
  const attempt = findAttempt(snapshot, deployment);
  return attempt === undefined ? [] : [toSnapshot(snapshot, attempt)];
}

async function findSnapshot(options: EbsOptions, id: string): Promise<VolumeSnapshot | undefined> {
  const found = isId(id, "snap") ? await describe(options, id) : undefined;
  return found && toOwnSnapshots(found, options.deployment)[0];
}

/** Restores the deployment tag of a snapshot. Reports whether the tag was missing. */
export async function putTagBack(options: EbsOptions, id: string): Promise<boolean> {
  const { client, deployment, changing } = options;
  const found = await describe(options, id);
  if (!found || findAttempt(found, deployment) === undefined) return false;
  if (tagValue(found.Tags, tagName.deployment) !== undefined) return false;
  const Tags = tagged({ [tagName.deployment]: deployment });
  await client
    .send(new CreateTagsCommand({ Resources: [id], Tags }), { abortSignal: changing() })
    .catch(throwDescribed);
  return true;
}

const states = new Map<string, VolumeSnapshot["state"]>([
  ["completed", "completed"],
  ["error", "failed"],
]);

function toSnapshot({ SnapshotId, State, StartTime, Tags }: Ec2Snapshot, attempt: string): VolumeSnapshot {
  if (SnapshotId === undefined || StartTime === undefined)
    throw new Error("EC2 returned a snapshot without an id or time");
  const name = tagValue(Tags, tagName.name);
  const disk = tagValue(Tags, tagName.disk);
  const key = findRecordKey(Tags);
  return {
    id: SnapshotId,
    state: states.get(State ?? "") ?? "pending",
    at: StartTime.getTime(),
    tags: {
      ...(name !== undefined && { name }),
      ...(disk !== undefined && { disk }),
      ...(key !== undefined && { key }),
      attempt,
    },
  };
}

async function removeSnapshot({ client, changing }: EbsOptions, SnapshotId: string): Promise<void> {
  if (!isId(SnapshotId, "snap")) return;
  const command = new DeleteSnapshotCommand({ SnapshotId });
  await unlessNotFound(client.send(command, { abortSignal: changing() })).catch(throwDescribed);
}

async function tagSnapshot(
  { client, deployment, changing }: EbsOptions,
  id: string,
  { name, disk, key }: Pick<SnapshotTags, "name" | "disk" | "key">,
): Promise<void> {
  if (!isId(id, "snap")) throw gone();
  const values = { [tagName.deployment]: deployment, [tagName.disk]: disk, [tagName.name]: name };
  const Tags = tagged({ ...values, ...recordTag(key) });
  try {
    await client.send(new CreateTagsCommand({ Resources: [id], Tags }), { abortSignal: changing() });
  } catch (error) {
    if (isNotFound(error)) throw gone();
    throwDescribed(error);
  }
}

function gone(): VolumeRefused {
  return new VolumeRefused("The snapshot does not exist");
}
