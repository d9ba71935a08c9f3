import { hash } from "node:crypto";
import {
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  type Volume as Ec2Volume,
  type Filter,
  paginateDescribeVolumes,
} from "@aws-sdk/client-ec2";
import type { OwnedVolume, Volume, VolumePage, VolumeRef, Volumes } from "#core/ports/volumes.ts";
import { LISTED_MS } from "#core/reconciler/pending-creates.ts";
import { readConfig } from "../settings/config.ts";
import { ebsSnapshots, putTagBack } from "./ebs-snapshots.ts";
import { findRecordKey, hasTag, recordTag, specified, tagName } from "./ebs-tags.ts";
import {
  type EbsOptions,
  type Ec2Clients,
  ec2Clients,
  isId,
  refusalCode,
  throwDescribed,
  unlessNotFound,
} from "./ec2-client.ts";
import { parseInstanceId } from "./ec2-machines.ts";

type Wanted = Parameters<Volumes["createVolume"]>[0];

/** The deployment is named after its table. */
export const volumes = (): Volumes => {
  const { TABLE_NAME, EBS_KMS_KEY_ID } = readConfig(["TABLE_NAME", "EBS_KMS_KEY_ID"]);
  return ebsVolumes({ ...ec2Clients(), deployment: TABLE_NAME, kmsKeyId: EBS_KMS_KEY_ID });
};

/** Stores disks as EBS volumes, and their backups as snapshots (docs/architecture/disks-on-ebs.md). */
export function ebsVolumes(options: EbsOptions): Volumes {
  return {
    ...ebsSnapshots(options),
    // DescribeVolumes and DescribeSnapshots show new objects late (EC2 API Reference, "Eventual consistency").
    listedWithinMs: LISTED_MS,
    // A snapshot has the data that was written before its request (EBS User Guide, "Create Amazon EBS snapshots").
    snapshotsInUse: true,
    createVolume: (wanted) => createVolume(options, wanted),
    findVolume: (id) => findVolume(options, id),
    listVolumes: (token) => listVolumes(options, token),
    listOwned: (after) => listOwned(options, after),
    removeVolume: (id) => removeVolume(options, id),
    detachVolume: (id, { providerId }) => detachVolume(options, id, parseInstanceId(providerId)),
    // Berth cannot read the files of an EBS volume here.
    startArchive: async () => undefined,
    findArchive: async () => ({ state: "failed", bytes: 0 }),
    endArchive: async () => undefined,
  };
}

/** Limit of volumes under one token. More than one are needed only if volumes are deleted by hand. */
const MOST_LIVES = 8;

/** Creates a volume. EC2 answers a known token with its first volume even after its deletion; then try the next. */
async function createVolume(options: EbsOptions, wanted: Wanted): Promise<VolumeRef> {
  const { client, deployment, kmsKeyId, changing } = options;
  const { token, zone, sizeGb, snapshotId, key } = wanted;
  const limit = { abortSignal: changing() };
  if (zone === "") throw new Error("An EBS volume needs a zone, but none is known");
  for (let life = 1; life <= MOST_LIVES; life += 1) {
    const command = new CreateVolumeCommand({
      AvailabilityZone: zone,
      Size: sizeGb,
      VolumeType: "gp3",
      Encrypted: true,
      // EBS encrypts the volume again if its snapshot has another key (EBS User Guide, "How Amazon EBS encryption
      // works").
      ...(kmsKeyId === undefined ? {} : { KmsKeyId: kmsKeyId }),
      ...(snapshotId === undefined ? {} : { SnapshotId: requireId(snapshotId, "snap") }),
      ClientToken: hash("sha256", `${deployment}\n${token}\n${life}`),
      TagSpecifications: specified("volume", {
        [tagName.deployment]: deployment,
        [tagName.token]: token,
        ...recordTag(key),
      }),
    });
    const made = await sendCreate(options, command, limit);
    if (made.VolumeId !== undefined && !isRemoved(made) && !(await isRemovedBy(client, made.VolumeId, limit))) {
      return { id: made.VolumeId, zone };
    }
  }
  throw new Error("The volumes of this token were deleted too often");
}

/** Creates the volume. The role requires the deployment's tag on a snapshot, so a lost tag is restored once. */
async function sendCreate(options: EbsOptions, command: CreateVolumeCommand, limit: Limit) {
  try {
    return await options.client.send(command, limit);
  } catch (error) {
    const { SnapshotId: id } = command.input;
    const isDenied = id !== undefined && refusalCode(error) === "UnauthorizedOperation";
    if (!isDenied || !(await putTagBack(options, id))) return throwDescribed(error);
    return await options.client.send(command, limit).catch(throwDescribed);
  }
}

/** Reports whether the volume was deleted, since EC2 repeats its first answer with the old state. */
async function isRemovedBy(client: Ec2Clients["client"], id: string, limit: Limit): Promise<boolean> {
  const found = await describe(client, id, limit);
  return found !== undefined && isRemoved(found);
}

async function findVolume({ client }: EbsOptions, id: string): Promise<Volume | undefined> {
  const found = isId(id, "vol") ? await describe(client, id) : undefined;
  return found && getVolume(found);
}

/** Limit of a change, which also covers the reads before it. */
interface Limit {
  readonly abortSignal?: AbortSignal;
}

async function describe(client: Ec2Clients["client"], id: string, limit: Limit = {}): Promise<Ec2Volume | undefined> {
  const command = new DescribeVolumesCommand({ VolumeIds: [id] });
  const found = await unlessNotFound(client.send(command, limit)).catch(throwDescribed);
  return found?.Volumes?.[0];
}

async function listVolumes(options: EbsOptions, token: string): Promise<Volume[]> {
  if (token === "" || token.length > 256) return [];
  return (await describeTagged(options, hasTag(tagName.token, token))).flatMap((volume) => getVolume(volume) ?? []);
}

async function listOwned({ client, deployment }: EbsOptions, after?: string): Promise<VolumePage> {
  const page = { MaxResults: PAGE_SIZE, ...(after !== undefined && { NextToken: after }) };
  const command = new DescribeVolumesCommand({ Filters: [hasTag(tagName.deployment, deployment)], ...page });
  const { Volumes = [], NextToken: next } = await client.send(command);
  // EC2 sends an empty token with the last page (EC2 API reference, DescribeVolumes).
  return { volumes: Volumes.flatMap((volume) => findOwned(volume) ?? []), ...(next && { next }) };
}

const PAGE_SIZE = 500;

async function describeTagged({ client, deployment }: EbsOptions, filter: Filter): Promise<Ec2Volume[]> {
  const Filters = [hasTag(tagName.deployment, deployment), filter];
  const found: Ec2Volume[] = [];
  for await (const { Volumes: page = [] } of paginateDescribeVolumes({ client, pageSize: PAGE_SIZE }, { Filters })) {
    found.push(...page);
  }
  return found;
}

function findOwned(volume: Ec2Volume): OwnedVolume | undefined {
  const id = getVolume(volume)?.id;
  return id === undefined ? undefined : { id, key: findRecordKey(volume.Tags) ?? null, sizeGb: volume.Size };
}

/** Converts a volume. A failed one has lost its data (EBS User Guide, "Volume states"), so it counts as deleted. */
function getVolume(volume: Ec2Volume): Volume | undefined {
  const { VolumeId: id, AvailabilityZone: zone, Attachments = [], State } = volume;
  if (id === undefined || zone === undefined || isRemoved(volume) || State === "error") return undefined;
  const attached = State === "in-use" || Attachments.some((attachment) => attachment.State !== "detached");
  return { id, zone, attached };
}

function isRemoved({ State }: Pick<Ec2Volume, "State">): boolean {
  return State === "deleting" || State === "deleted";
}

async function removeVolume({ client, changing }: EbsOptions, id: string): Promise<void> {
  if (!isId(id, "vol")) return;
  const command = new DeleteVolumeCommand({ VolumeId: id });
  await unlessNotFound(client.send(command, { abortSignal: changing() })).catch(throwDescribed);
}

async function detachVolume({ client, changing }: EbsOptions, id: string, instance: string | undefined): Promise<void> {
  const limit = { abortSignal: changing() };
  const found = instance !== undefined && isId(id, "vol") ? await describe(client, id, limit) : undefined;
  const there = found?.Attachments?.find(
    (attachment) => attachment.InstanceId === instance && attachment.State !== "detached",
  );
  if (!there) return;
  const command = new DetachVolumeCommand({ VolumeId: id, InstanceId: instance, Force: true });
  // The volume is already detached.
  await unlessNotFound(client.send(command, limit)).catch((error: unknown) => {
    if (refusalCode(error) !== "IncorrectState") throwDescribed(error);
  });
}

function requireId(id: string, kind: "vol" | "snap"): string {
  if (!isId(id, kind)) throw new Error("That is not an EBS snapshot");
  return id;
}
