import { EKSClient } from "@aws-sdk/client-eks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeAnswer, type FakeService, fakeKey, startFakeService } from "#tests/aws/fake-service.ts";
import { patient } from "#tests/aws/patient.ts";
import { clientOptions } from "../client-options.ts";
import { readCluster } from "./answers.ts";

let eks: FakeService;
let client: EKSClient;
/** Answers by path. EKS knows nothing else. */
let known: Record<string, object>;

const json = (value: unknown, status = 200, headers = {}): FakeAnswer => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(value),
});
const refusal = (code: string, status: number) => json({ message: code }, status, { "x-amzn-errortype": code });

beforeAll(async () => {
  eks = await startFakeService(
    "eks",
    (code) => refusal(code, 403),
    ({ path }) => {
      const answer = known[decodeURIComponent(path)];
      return answer ? json(answer) : refusal("ResourceNotFoundException", 404);
    },
  );
  const address = { region: "us-west-2", credentials: fakeKey, endpoint: eks.endpoint };
  client = new EKSClient(clientOptions(address, patient));
});
afterAll(async () => {
  client.destroy();
  await eks.stop();
});

const arn = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
const read = () => readCluster(client, "gpus", ["ConsumerWork", "EndpointComputeQueueTable"]);

test("a cluster's answers are the add-ons that it has, the entries of the asked roles, and its node groups", async () => {
  const driver = { addonName: "aws-ebs-csi-driver", status: "ACTIVE" };
  const entry = { principalArn: arn("ConsumerWork-0a1b2c3"), kubernetesGroups: ["berth:controller"] };
  const gone = arn("EndpointComputeQueueTable-0a1b2c3");
  const others = ["Admin", "ConsumerWork", "ConsumerWork-other", "ConsumerPools-0a1b2c3", "aws-reserved/Sso-0a1b2c3"];
  known = {
    "/clusters/gpus": { cluster: { name: "gpus", status: "ACTIVE" } },
    "/clusters/gpus/addons/aws-ebs-csi-driver": { addon: driver },
    "/clusters/gpus/access-entries": { accessEntries: [...others.map(arn), entry.principalArn, gone] },
    [`/clusters/gpus/access-entries/${entry.principalArn}`]: { accessEntry: entry },
    "/clusters/gpus/node-groups": { nodegroups: ["p5", "deleted"] },
    "/clusters/gpus/node-groups/p5": { nodegroup: { nodegroupName: "p5", status: "ACTIVE" } },
  };

  expect(await read()).toMatchObject({
    cluster: { value: { name: "gpus", status: "ACTIVE" } },
    addons: { value: [driver] },
    accessEntries: { value: [entry] },
    nodeGroups: { value: [{ nodegroupName: "p5" }] },
  });
  const entries = eks.calls.map(({ path }) => decodeURIComponent(path)).filter((path) => path.includes("role/"));
  expect(entries.toSorted()).toEqual(
    [entry.principalArn, gone].map((each) => `/clusters/gpus/access-entries/${each}`).toSorted(),
  );
  expect([...new Set(eks.calls.map(({ method }) => method))]).toEqual(["GET"]);
});

test("the entries of a cluster with many stages are all read", async () => {
  const entries = Array.from({ length: 150 }, (_, at) => ({
    principalArn: arn(`ConsumerWork-${at.toString(16).padStart(7, "0")}`),
  }));
  known = {
    "/clusters/gpus": { cluster: { name: "gpus" } },
    "/clusters/gpus/access-entries": { accessEntries: entries.map(({ principalArn }) => principalArn) },
    ...Object.fromEntries(
      entries.map((accessEntry) => [`/clusters/gpus/access-entries/${accessEntry.principalArn}`, { accessEntry }]),
    ),
  };

  expect((await read()).accessEntries).toMatchObject({ value: entries });
});

test("a cluster that does not exist is no refusal, and nothing else is asked about it", async () => {
  known = {};
  const before = eks.calls.length;

  expect(await read()).toMatchObject({
    cluster: { value: undefined },
    addons: { refusal: "there is no cluster" },
    accessEntries: { refusal: "there is no cluster" },
    nodeGroups: { refusal: "there is no cluster" },
  });
  expect(eks.calls.length - before).toBe(1);
});

test("a refused question says the kind of the error, and takes no other answer with it", async () => {
  known = { "/clusters/gpus": { cluster: { name: "gpus" } }, "/clusters/gpus/access-entries": { accessEntries: [] } };
  const denied = refusal("AccessDeniedException", 403);
  eks.trouble([json(known["/clusters/gpus"]), denied, denied, denied, denied, denied]);

  const why = "EKS gave no answer (AccessDeniedException)";
  expect(await read()).toMatchObject({
    cluster: { value: { name: "gpus" } },
    addons: { refusal: why },
    accessEntries: { refusal: why },
    nodeGroups: { refusal: why },
  });
});

test("an expired session is the reason of every check", async () => {
  eks.trouble([refusal("ExpiredTokenException", 403)]);

  const why = "EKS gave no answer (ExpiredTokenException)";
  expect(await read()).toMatchObject({ cluster: { refusal: why }, addons: { refusal: why } });
});
