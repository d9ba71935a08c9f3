import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Volumes } from "#core/ports/volumes.ts";
import { type FakeEc2, startEc2 } from "#tests/aws/ec2.ts";
import { patient } from "#tests/aws/patient.ts";
import { volumesConformance } from "#tests/conformance/volumes.ts";
import { ebsVolumes } from "./ebs-volumes.ts";
import { ec2Clients } from "./ec2-client.ts";

const keys = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
const tags = { name: "data", disk: "d".repeat(32), attempt: "a-r1-1" };
const wanted = { token: "t", sizeGb: 10, zone: "us-east-2a", snapshotId: undefined };

async function open() {
  const ec2 = await startEc2();
  ec2.settings.snapshotMs = 100;
  const clients = ec2Clients({ endpoint: ec2.endpoint, region: "us-east-2", credentials: keys }, patient);
  const volumes = ebsVolumes({ ...clients, deployment: "berth" });
  return {
    ec2,
    volumes,
    clients,
    pass: ec2.pass,
    mount: async (id: string) => ec2.attach(id, "i-1"),
    content: {
      write: async (id: string, text: string) => void Object.assign(ec2.volumes.get(id) ?? {}, { content: text }),
      read: async (id: string) => ec2.volumes.get(id)?.content ?? "",
    },
    async close() {
      for (const client of [clients.client, clients.once]) client.destroy();
      await ec2.stop();
    },
  };
}

describe("volumes on EBS", () => volumesConformance(open));

describe("EBS", () => {
  let opened: Awaited<ReturnType<typeof open>>;
  let ec2: FakeEc2;
  let volumes: Volumes;
  beforeEach(async () => {
    opened = await open();
    ({ ec2, volumes } = opened);
  });
  afterEach(() => opened.close());

  it("gets one call for a snapshot whose answer is lost, and the snapshot is found by its volume", async () => {
    const { id } = await volumes.createVolume(wanted);
    ec2.next("CreateSnapshot", { effect: true, status: 500, code: "InternalError" });

    await expect(volumes.createSnapshot(id, tags)).rejects.not.toMatchObject({ name: "VolumeRefused" });

    expect(ec2.calls.filter((call) => call === "CreateSnapshot")).toHaveLength(1);
    expect(await volumes.listSnapshots(id)).toMatchObject([{ state: "pending", tags }]);
  });

  it.each([
    { status: 400, code: "SnapshotCreationPerVolumeRateExceeded" },
    { status: 403, code: "UnauthorizedOperation" },
    { status: 503, code: "RequestLimitExceeded" },
  ])("created no snapshot if it answers $code", async ({ status, code }) => {
    const { id } = await volumes.createVolume(wanted);
    ec2.next("CreateSnapshot", { effect: false, status, code });

    const asking = volumes.createSnapshot(id, tags);

    await expect(asking).rejects.toMatchObject({ name: "VolumeRefused", message: `EC2 refused it: ${code}` });
  });

  it("lists the snapshots of a volume page by page", async () => {
    ec2.settings.pageSize = 5;
    const { id } = await volumes.createVolume(wanted);
    const attempts = Array.from({ length: 12 }, (_, at) => `a-r1-${at}`);
    for (const attempt of attempts) await volumes.createSnapshot(id, { ...tags, attempt });

    const listed = await volumes.listSnapshots(id);

    expect(listed.map((snapshot) => snapshot.tags.attempt).toSorted()).toEqual(attempts.toSorted());
    expect(ec2.calls.filter((call) => call === "DescribeSnapshots")).toHaveLength(3);
  });

  it("lists the snapshots of all volumes in pages, each from the place of the one before", async () => {
    ec2.settings.pageSize = 2;
    const { id } = await volumes.createVolume(wanted);
    for (let n = 0; n < 5; n++) await volumes.createSnapshot(id, { ...tags, attempt: `a-r1-${n}` });

    const first = await volumes.listOwnedSnapshots();
    const second = await volumes.listOwnedSnapshots(first.next);
    const last = await volumes.listOwnedSnapshots(second.next);

    const pages = [first, second, last].map(({ snapshots }) => snapshots.map(({ tags }) => tags.attempt));
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(new Set(pages.flat()).size).toBe(5);
    expect(last.next).toBeUndefined();
  });

  it("lists the volumes in pages, each from the place of the one before", async () => {
    ec2.settings.pageSize = 2;
    for (let n = 0; n < 5; n++) await volumes.createVolume({ ...wanted, token: `t${n}` });
    const before = ec2.calls.length;

    const first = await volumes.listOwned();
    const second = await volumes.listOwned(first.next);
    const last = await volumes.listOwned(second.next);

    const pages = [first, second, last].map((page) => page.volumes.map(({ id }) => id));
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(new Set(pages.flat()).size).toBe(5);
    expect(last.next).toBeUndefined();
    expect(ec2.calls.slice(before)).toEqual(Array(3).fill("DescribeVolumes"));
  });

  it("shows no foreign or shared snapshot of the volume, whatever its tags say", async () => {
    const { id } = await volumes.createVolume(wanted);
    const ownSnapshot = await volumes.createSnapshot(id, tags);
    const marks = { description: "Berth berth a-r1-1", tags: ec2.snapshots.get(ownSnapshot.id)?.tags ?? {} };
    const foreign = [
      ec2.addSnapshot({ ...marks, volume: id, owner: "999999999999" }),
      ec2.addSnapshot({ tags: marks.tags, volume: id, description: "Created by a backup plan" }),
      ec2.addSnapshot({ ...marks, volume: id, description: "Berth other a-r1-1" }),
    ];
    const elsewhere = ec2.addSnapshot({ ...marks, volume: "vol-0123456789abcdef0" });

    expect((await volumes.listSnapshots(id)).map((snapshot) => snapshot.id)).toEqual([ownSnapshot.id]);
    for (const name of foreign) expect(await volumes.findSnapshot(name)).toBeUndefined();
    expect(await volumes.findSnapshot(elsewhere)).toMatchObject({ id: elsewhere });
  });

  it("lists snapshots with their records, without those of another control plane or without tags", async () => {
    const others = ebsVolumes({ ...opened.clients, deployment: "other" });
    const key = `owner#x#disk|${tags.disk}`;
    const { id } = await volumes.createVolume(wanted);
    const ownSnapshot = await volumes.createSnapshot(id, { ...tags, key });
    const stripped = await volumes.createSnapshot(id, { ...tags, attempt: "a-r1-2" });
    Object.assign(ec2.snapshots.get(stripped.id) ?? {}, { tags: {} });
    const theirs = await others.createSnapshot((await others.createVolume(wanted)).id, { ...tags, key });

    const { snapshots: listed } = await volumes.listOwnedSnapshots();

    expect(listed).toEqual([{ id: ownSnapshot.id, key, tags: { ...tags, key }, isPending: true }]);
    expect((await others.listOwnedSnapshots()).snapshots).toEqual([
      { id: theirs.id, key, tags: { ...tags, key }, isPending: true },
    ]);
  });

  it("identifies the attempt of a snapshot without tags, and tags it again", async () => {
    const { id } = await volumes.createVolume(wanted);
    const { id: snapshot } = await volumes.createSnapshot(id, tags);
    Object.assign(ec2.snapshots.get(snapshot) ?? {}, { tags: {} });

    const stripped = (await volumes.listSnapshots(id)).map((snapshot) => snapshot.tags);
    await volumes.tagSnapshot(snapshot, tags);

    expect(stripped).toEqual([{ attempt: tags.attempt }]);
    expect((await volumes.findSnapshot(snapshot))?.tags).toEqual(tags);
    expect(ec2.snapshots.get(snapshot)?.tags).toMatchObject({ Name: "data", "berth:deployment": "berth" });
  });

  it("distinguishes a failed snapshot from a pending one", async () => {
    const { id } = await volumes.createVolume(wanted);
    const { id: snapshot } = await volumes.createSnapshot(id, tags);
    ec2.settings.failSnapshots = true;

    const before = await volumes.findSnapshot(snapshot);
    await ec2.pass(100);

    expect(before?.state).toBe("pending");
    expect((await volumes.findSnapshot(snapshot))?.state).toBe("failed");
  });

  it("creates one volume per token even while it describes new volumes late", async () => {
    ec2.settings.describedAfterMs = 60_000;

    const made = [await volumes.createVolume(wanted), await volumes.createVolume(wanted)];
    const early = await volumes.findVolume(made[0]?.id ?? "");
    await ec2.pass(60_000);

    expect(made[0]?.id).toBe(made[1]?.id);
    expect(early).toBeUndefined();
    expect(await volumes.listVolumes("t")).toMatchObject([{ id: made[0]?.id, attached: false }]);
  });

  it("reports a failed volume as gone, and removes it all the same", async () => {
    const { id } = await volumes.createVolume(wanted);
    Object.assign(ec2.volumes.get(id) ?? {}, { state: "error" });

    const found = await volumes.findVolume(id);
    await volumes.removeVolume(id);

    expect(found).toBeUndefined();
    expect(ec2.volumes.get(id)?.state).toBe("deleted");
  });

  it("encrypts empty volumes and volumes of snapshots with the configured key, by default the account's", async () => {
    const kmsKeyId = "arn:aws:kms:us-east-2:111111111111:key/0a1b2c3d";
    const keyed = ebsVolumes({ ...opened.clients, deployment: "berth", kmsKeyId });
    const snapshotId = ec2.addSnapshot({ volume: "vol-0123456789abcdef0" });
    await ec2.pass(1_000);

    const made = [
      await volumes.createVolume(wanted),
      await keyed.createVolume({ ...wanted, token: "keyed" }),
      await keyed.createVolume({ ...wanted, token: "of a snapshot", snapshotId }),
    ];

    const found = made.map(({ id }) => ec2.volumes.get(id));
    expect(found.map((volume) => volume?.kmsKeyId)).toEqual([undefined, kmsKeyId, kmsKeyId]);
    expect(found.map((volume) => volume?.isEncrypted)).toEqual([true, true, true]);
  });

  describe("refuses a snapshot because of its tags", () => {
    const denied = { effect: false, status: 403, code: "UnauthorizedOperation" };
    const ownValue = { description: "Berth berth a-r1-1", volume: "vol-0123456789abcdef0" };
    const restore = async (snapshot: Parameters<FakeEc2["addSnapshot"]>[0]) => {
      const snapshotId = ec2.addSnapshot(snapshot);
      await ec2.pass(1_000);
      ec2.next("CreateVolume", denied);
      const made = await volumes.createVolume({ ...wanted, snapshotId }).catch(({ message }: Error) => message);
      return { made, snapshot: ec2.snapshots.get(snapshotId) };
    };

    it("and creates the volume once the removed tag is back", async () => {
      const { made, snapshot } = await restore(ownValue);

      expect(made).toMatchObject({ zone: wanted.zone });
      expect(snapshot?.tags).toEqual({ "berth:deployment": "berth" });
    });

    it.each([
      ["has its tag", { ...ownValue, tags: { "berth:deployment": "berth" } }],
      ["another deployment tagged", { ...ownValue, tags: { "berth:deployment": "other" } }],
      ["another deployment made", { ...ownValue, description: "Berth other a-r1-1" }],
      ["another tool created", { ...ownValue, description: "nightly" }],
      ["another account owns", { ...ownValue, owner: "222222222222" }],
    ])("and leaves the tags of one that %s", async (_, input) => {
      const { made, snapshot } = await restore(input);

      expect(made).toBe("EC2 refused it: UnauthorizedOperation");
      expect(snapshot?.tags).toEqual("tags" in input ? input.tags : {});
      expect(ec2.calls).not.toContain("CreateTags");
    });
  });

  it("detaches a volume from the named machine only", async () => {
    const { id } = await volumes.createVolume(wanted);
    ec2.attach(id, "i-0123456789abcdef0");
    const machine = (instance: string) => ({ name: "n", uid: "u", providerId: `aws:///us-east-2a/${instance}` });

    await volumes.detachVolume(id, machine("i-0fedcba9876543210"));
    const before = await volumes.findVolume(id);
    await expect(volumes.removeVolume(id)).rejects.toThrow();
    await volumes.detachVolume(id, machine("i-0123456789abcdef0"));

    expect(before?.attached).toBe(true);
    expect((await volumes.findVolume(id))?.attached).toBe(false);
  });

  it("gets no detach call after the deadline", async () => {
    const { id } = await volumes.createVolume(wanted);
    ec2.attach(id, "i-0123456789abcdef0");
    const released = Promise.withResolvers<void>();
    ec2.holdUntil("DescribeVolumes", released.promise);
    const limit = new AbortController();
    const hurried = ebsVolumes({ ...opened.clients, changing: () => limit.signal, deployment: "berth" });
    const machine = { name: "n", uid: "u", providerId: "aws:///us-east-2a/i-0123456789abcdef0" };

    const detaching = hurried.detachVolume(id, machine);
    await expect.poll(() => ec2.calls).toContain("DescribeVolumes");
    limit.abort();
    await expect(detaching).rejects.toThrow();
    released.resolve();
    await volumes.findVolume(id);

    expect(ec2.calls).not.toContain("DetachVolume");
  });

  it.each([
    ["CreateVolume", () => volumes.createVolume({ ...wanted, token: "other" })],
    ["DeleteVolume", (id: string) => volumes.removeVolume(id)],
    ["DescribeVolumes", (id: string) => volumes.findVolume(id)],
  ] as const)("reports only by its code why it refused %s", async (call, ask) => {
    const { id } = await volumes.createVolume(wanted);
    ec2.next(call, { effect: false, status: 403, code: "UnauthorizedOperation" });

    const asking = ask(id);

    await expect(asking).rejects.toMatchObject({
      name: "VolumeRefused",
      message: "EC2 refused it: UnauthorizedOperation",
    });
  });

  it("shows no volume of another control plane under the same token", async () => {
    const others = ebsVolumes({ ...opened.clients, deployment: "other" });
    const theirs = await others.createVolume(wanted);

    const ownRef = await volumes.createVolume(wanted);

    expect(ownRef.id).not.toBe(theirs.id);
    expect((await volumes.listVolumes("t")).map((volume) => volume.id)).toEqual([ownRef.id]);
  });

  it("refuses to remove a snapshot that an image uses, with the reason", async () => {
    const { id } = await volumes.createVolume(wanted);
    const { id: snapshot } = await volumes.createSnapshot(id, tags);
    ec2.next("DeleteSnapshot", { effect: false, status: 400, code: "InvalidSnapshot.InUse" });

    await expect(volumes.removeSnapshot(snapshot)).rejects.toThrow("EC2 refused it: InvalidSnapshot.InUse");
  });
});
