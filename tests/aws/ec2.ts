import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HOUR_MS } from "#core/units.ts";
import { Ec2Refusal, formatXml, listed, type Parameters, paged, readParameters, readTags } from "./ec2-query.ts";
import type { TestServer } from "./test-server.ts";

/**
 * EC2 as far as disks need it, and stricter than moto: client tokens are honoured, snapshots take their time and may
 * fail, and new resources are described late. Times are ms of the fake's clock.
 */
export interface FakeEc2 extends TestServer {
  pass(ms: number): Promise<void>;
  /** Each call, by its name, in order. */
  readonly calls: string[];
  /** The state of each instance by its id. */
  readonly instances: Map<string, string>;
  readonly volumes: ReadonlyMap<string, FakeVolume>;
  readonly snapshots: ReadonlyMap<string, FakeSnapshot>;
  /** Adds a resource of another user in this account or in another one. */
  addSnapshot(snapshot: Partial<FakeSnapshot> & Pick<FakeSnapshot, "volume">): string;
  attach(volume: string, instance: string): void;
  /** The next call of this name is answered so, after or without its effect. */
  next(call: string, fault: Fault): void;
  /** Answers no call of this name before; it is among the calls. */
  holdUntil(call: string, released: Promise<void>): void;
  settings: Ec2Settings;
}

export interface Ec2Settings {
  snapshotMs: number;
  /** Delay until new volumes and snapshots are described. */
  describedAfterMs: number;
  /** Most rows of a page, regardless of the request. */
  pageSize: number;
  failSnapshots: boolean;
}

export interface Fault {
  readonly effect: boolean;
  readonly status: number;
  readonly code: string;
}

export interface FakeVolume {
  readonly id: string;
  readonly zone: string;
  readonly size: string;
  /** The key that the request named. undefined if the account's default key encrypts the volume. */
  readonly kmsKeyId: string | undefined;
  readonly isEncrypted: boolean;
  readonly from: string | undefined;
  readonly made: number;
  readonly request: string;
  readonly tags: Record<string, string>;
  state: string;
  content: string;
  instance: string | undefined;
}

export interface FakeSnapshot {
  readonly id: string;
  readonly volume: string;
  readonly owner: string;
  readonly description: string;
  readonly made: number;
  readonly content: string;
  tags: Record<string, string>;
}

const OWN = "123456789012";

export async function startEc2(): Promise<FakeEc2> {
  let now = Date.parse("2026-01-20T18:30:00Z");
  const settings: Ec2Settings = { snapshotMs: HOUR_MS, describedAfterMs: 0, pageSize: 500, failSnapshots: false };
  const volumes = new Map<string, FakeVolume>();
  const snapshots = new Map<string, FakeSnapshot>();
  const tokens = new Map<string, string>();
  const faults = new Map<string, Fault>();
  const held = new Map<string, Promise<void>>();
  const instances = new Map<string, string>();
  const calls: string[] = [];

  const getState = ({ made, owner }: FakeSnapshot) => {
    if (owner === OWN && now < made + settings.snapshotMs) return "pending";
    return settings.failSnapshots ? "error" : "completed";
  };
  const isDescribed = ({ made }: { readonly made: number }) => now >= made + settings.describedAfterMs;
  const snapshotXml = (snapshot: FakeSnapshot) => ({
    snapshotId: snapshot.id,
    volumeId: snapshot.volume,
    status: getState(snapshot),
    startTime: new Date(snapshot.made).toISOString(),
    ownerId: snapshot.owner,
    description: snapshot.description,
    tagSet: tagItems(snapshot.tags),
  });
  const volumeXml = (volume: FakeVolume) => ({
    volumeId: volume.id,
    availabilityZone: volume.zone,
    size: volume.size,
    snapshotId: volume.from ?? "",
    status: volume.instance === undefined ? volume.state : "in-use",
    createTime: new Date(volume.made).toISOString(),
    attachmentSet:
      volume.instance === undefined ? [] : [{ volumeId: volume.id, instanceId: volume.instance, status: "attached" }],
    tagSet: tagItems(volume.tags),
  });
  const volumeNamed = (id: string | undefined): FakeVolume => {
    const found = volumes.get(id ?? "");
    if (!found || found.state === "deleted") throw new Ec2Refusal("InvalidVolume.NotFound");
    return found;
  };
  const snapshotNamed = (id: string | undefined): FakeSnapshot => {
    const found = snapshots.get(id ?? "");
    if (!found) throw new Ec2Refusal("InvalidSnapshot.NotFound");
    return found;
  };

  function createVolume(parameters: Parameters): object {
    const token = parameters.get("ClientToken") ?? newId("token");
    const request = ["AvailabilityZone", "Size", "SnapshotId"].map((name) => parameters.get(name) ?? "").join(" ");
    const knownVolume = volumes.get(tokens.get(token) ?? "");
    if (knownVolume && knownVolume.request !== request) throw new Ec2Refusal("IdempotentParameterMismatch");
    if (knownVolume) return volumeXml(knownVolume);
    const from = parameters.get("SnapshotId");
    const source = from === undefined ? undefined : snapshotNamed(from);
    if (source && getState(source) !== "completed") throw new Ec2Refusal("IncorrectState");
    const made: FakeVolume = {
      id: newId("vol"),
      zone: parameters.get("AvailabilityZone") ?? "",
      size: parameters.get("Size") ?? "",
      kmsKeyId: parameters.get("KmsKeyId") ?? undefined,
      isEncrypted: parameters.get("Encrypted") === "true",
      from,
      made: now,
      request,
      tags: readTags(parameters, "TagSpecification.1.Tag"),
      state: "available",
      content: source?.content ?? "",
      instance: undefined,
    };
    volumes.set(made.id, made);
    tokens.set(token, made.id);
    return volumeXml(made);
  }

  function createSnapshot(parameters: Parameters): object {
    const { id: volume, content } = volumeNamed(parameters.get("VolumeId"));
    const tags = readTags(parameters, "TagSpecification.1.Tag");
    const description = parameters.get("Description") ?? "";
    const made = { id: newId("snap"), volume, owner: OWN, description, made: now, content, tags };
    snapshots.set(made.id, made);
    return snapshotXml(made);
  }

  const actions: Readonly<Record<string, (parameters: Parameters) => object>> = {
    CreateVolume: createVolume,
    CreateSnapshot: createSnapshot,
    DescribeVolumes(parameters) {
      const ids = listed(parameters, "VolumeId");
      const named = ids
        .map((id) => volumeNamed(id))
        .map((volume) => (isDescribed(volume) ? volume : refuse("InvalidVolume.NotFound")));
      const living = [...volumes.values()].filter((volume) => volume.state !== "deleted" && isDescribed(volume));
      const rows = (ids.length > 0 ? named : living).filter((volume) => matches(parameters, volume.tags, {}));
      return paged(parameters, "volumeSet", rows.map(volumeXml), settings.pageSize);
    },
    DescribeSnapshots(parameters) {
      const ids = listed(parameters, "SnapshotId");
      const named = ids
        .map((id) => snapshotNamed(id))
        .map((snapshot) => (isDescribed(snapshot) ? snapshot : refuse("InvalidSnapshot.NotFound")));
      const all = ids.length > 0 ? named : [...snapshots.values()].filter(isDescribed);
      const isOwn = listed(parameters, "Owner").includes("self");
      const rows = all.filter(
        (snapshot) =>
          (!isOwn || snapshot.owner === OWN) && matches(parameters, snapshot.tags, { "volume-id": snapshot.volume }),
      );
      return paged(parameters, "snapshotSet", rows.map(snapshotXml), settings.pageSize);
    },
    DeleteVolume(parameters) {
      const volume = volumeNamed(parameters.get("VolumeId"));
      if (volume.instance !== undefined) throw new Ec2Refusal("VolumeInUse");
      volume.state = "deleted";
      return { return: "true" };
    },
    DeleteSnapshot(parameters) {
      snapshots.delete(snapshotNamed(parameters.get("SnapshotId")).id);
      return { return: "true" };
    },
    DetachVolume(parameters) {
      const volume = volumeNamed(parameters.get("VolumeId"));
      if (volume.instance !== parameters.get("InstanceId")) throw new Ec2Refusal("IncorrectState");
      volume.instance = undefined;
      return { volumeId: volume.id, status: "detaching" };
    },
    DescribeInstances(parameters) {
      const id = parameters.get("InstanceId.1") ?? "";
      const name = instances.get(id) ?? refuse("InvalidInstanceID.NotFound");
      return { reservationSet: [{ instancesSet: [{ instanceId: id, instanceState: { code: 0, name } }] }] };
    },
    CreateTags(parameters) {
      const snapshot = snapshotNamed(parameters.get("ResourceId.1"));
      snapshot.tags = { ...snapshot.tags, ...readTags(parameters, "Tag") };
      return { return: "true" };
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = await readParameters(request);
    const name = parameters.get("Action") ?? "";
    calls.push(name);
    await held.get(name);
    const fault = faults.get(name);
    faults.delete(name);
    try {
      const found = fault && !fault.effect ? {} : (actions[name] ?? refuse("InvalidAction"))(parameters);
      if (fault) throw new Ec2Refusal(fault.code, fault.status);
      response.end(formatXml(`${name}Response`, found));
    } catch (error) {
      if (!(error instanceof Ec2Refusal)) throw error;
      response.statusCode = error.status;
      response.end(formatXml("Response", { Errors: { Error: { Code: error.code, Message: "It was refused" } } }));
    }
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => new Promise((resolve) => void server.close(() => resolve()).closeAllConnections()),
    async pass(ms) {
      now += ms;
    },
    calls,
    instances,
    volumes,
    snapshots,
    settings,
    addSnapshot(input) {
      const made = { id: newId("snap"), owner: OWN, description: "", made: now, content: "", tags: {}, ...input };
      snapshots.set(made.id, made);
      return made.id;
    },
    attach(id, instance) {
      volumeNamed(id).instance = instance;
    },
    next: (call, fault) => void faults.set(call, fault),
    holdUntil: (call, released) => void held.set(call, released),
  };
}

function refuse(code: string): never {
  throw new Ec2Refusal(code);
}

function newId(kind: string): string {
  return `${kind}-${randomBytes(9).toString("hex").slice(0, 17)}`;
}

function tagItems(tags: Readonly<Record<string, string>>): object[] {
  return Object.entries(tags).map(([key, value]) => ({ key, value }));
}

/** All filters, each by one of its values; only what adapters ask for. */
function matches(
  parameters: Parameters,
  tags: Readonly<Record<string, string>>,
  fields: Readonly<Record<string, string>>,
): boolean {
  for (let at = 1; parameters.has(`Filter.${at}.Name`); at += 1) {
    const name = parameters.get(`Filter.${at}.Name`) ?? "";
    const value = name.startsWith("tag:") ? tags[name.slice(4)] : (fields[name] ?? refuse("InvalidParameterValue"));
    const values = listed(parameters, `Filter.${at}.Value`).map((name) => name.replaceAll(/\\([*?\\])/g, "$1"));
    if (value === undefined || !values.includes(value)) return false;
  }
  return true;
}
