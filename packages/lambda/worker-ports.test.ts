import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { answerJson, type LoopbackServer, loopbackServer, refuse } from "#kubernetes/fixtures/loopback-fixture.ts";
import { startEc2 } from "#tests/aws/ec2.ts";
import { fakeKey } from "#tests/aws/fake-service.ts";
import { startS3 } from "#tests/aws/s3.ts";
import { compute, volumes } from "./worker-ports.ts";

const uid = "a".repeat(32);
let kubernetes: LoopbackServer;
let ec2: Awaited<ReturnType<typeof startEc2>>;
let s3: Awaited<ReturnType<typeof startS3>>;
/** Volume of the cluster's only run, and the list that its supervisor left. */
let volume = "";

beforeEach(async () => {
  [ec2, s3] = await Promise.all([startEc2(), startS3("blobs")]);
  kubernetes = await loopbackServer(({ method, url = "" }, response) => {
    const path = url.split("?")[0] ?? "";
    if (method === "DELETE") return answerJson(response, { kind: "Status", status: "Success" });
    if (/\/(pods|persistentvolumeclaims|persistentvolumes)$/.test(path)) {
      return answerJson(response, { metadata: { resourceVersion: "1" }, items: path.endsWith("/pods") ? [pod()] : [] });
    }
    if (path.endsWith(`/jobs/${uid}-r1`)) return answerJson(response, job());
    refuse(response, 404, "NotFound");
  });
  const environment = {
    TABLE_NAME: "berth",
    BLOBS_BUCKET: "blobs",
    EKS_CLUSTER: "gpus",
    EKS_ENDPOINT: kubernetes.access.url,
    EKS_CA: Buffer.from(kubernetes.access.ca ?? "").toString("base64"),
    AWS_REGION: "us-east-2",
    AWS_ACCESS_KEY_ID: fakeKey.accessKeyId,
    AWS_SECRET_ACCESS_KEY: fakeKey.secretAccessKey,
    AWS_SESSION_TOKEN: fakeKey.sessionToken,
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    AWS_ENDPOINT_URL_EC2: ec2.endpoint,
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all([ec2.stop(), s3.stop(), kubernetes.close()]);
});

const metadata = {
  name: `${uid}-r1`,
  uid: "job-1",
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels: { "berth/uid": uid, "berth/run": "1" },
};
const getSpec = () => ({
  containers: [{ name: "main", command: ["/.berth/supervisor", "run"] }],
  volumes: [{ name: "volume-0", persistentVolumeClaim: { claimName: volume } }],
});
const job = () => ({ metadata, spec: { template: { spec: getSpec() } } });

/** A pod whose command has ended. Its termination message lists the disk's files. */
function pod() {
  const message = JSON.stringify({ started: true, exitCode: 0, files: gzipSync(".:\nmodel.pt\n").toString("base64") });
  const ended = { exitCode: 0, message, finishedAt: "2026-01-01T00:01:00Z" };
  return {
    metadata: { ...metadata, name: `${uid}-r1-x`, ownerReferences: [{ kind: "Job", name: `${uid}-r1`, uid: "job-1" }] },
    spec: { ...getSpec(), nodeName: "one" },
    status: { phase: "Succeeded", containerStatuses: [{ name: "main", state: { terminated: ended } }] },
  };
}

it("a reconcile that ends a run keeps the list of its disk's files for the backup after it", async () => {
  const disks = volumes();
  const wanted = { token: "t", sizeGb: 10, zone: "us-east-2a", snapshotId: undefined };
  ({ id: volume } = await disks.createVolume(wanted));

  await compute().remove(uid, 1, { graceSeconds: 10, force: false });
  const tags = { name: "data", disk: "d".repeat(32), attempt: `${uid}-r1-1` };
  const { id } = await disks.createSnapshot(volume, tags);

  expect(Buffer.from(s3.objects.get(`listings/${id}`) ?? new Uint8Array()).toString()).toBe(".:\nmodel.pt\n");
});
