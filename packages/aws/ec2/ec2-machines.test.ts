import { afterAll, beforeAll, expect, it } from "vitest";
import type { MachineState } from "#core/ports/compute.ts";
import { type FakeEc2, startEc2 } from "#tests/aws/ec2.ts";
import { patient } from "#tests/aws/patient.ts";
import { ec2Clients } from "./ec2-client.ts";
import { ec2Machines } from "./ec2-machines.ts";

const id = "i-0123456789abcdef0";
let ec2: FakeEc2;
let getState: (providerId: string) => Promise<MachineState>;
let close: () => void;

beforeAll(async () => {
  ec2 = await startEc2();
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const { client } = ec2Clients({ endpoint: ec2.endpoint, region: "us-east-2", credentials }, patient);
  const getMachine = ec2Machines(client);
  getState = (providerId) => getMachine({ name: "n", uid: "u", providerId });
  close = () => client.destroy();
});
afterAll(async () => {
  close();
  await ec2.stop();
});

it.each([
  ["terminated", "gone"],
  ["stopped", "gone"],
  ["shutting-down", "running"],
  ["stopping", "running"],
  ["running", "running"],
])("an instance that is %s is %s to the core", async (state, expected) => {
  ec2.instances.set(id, state);

  expect(await getState(`aws:///us-east-2a/${id}`)).toBe(expected);
});

it("an instance that EC2 does not know is gone", async () => {
  expect(await getState("aws:///us-east-2a/i-0fedcba9876543210")).toBe("gone");
});

it("a machine outside EC2 is unknown, without a call of EC2", async () => {
  const before = ec2.calls.length;

  expect(await getState("gce://project/zone/name")).toBe("unknown");
  expect(ec2.calls).toHaveLength(before);
});

it("a refusal of EC2 leaves the machine unknown", async () => {
  ec2.next("DescribeInstances", { effect: false, status: 403, code: "UnauthorizedOperation" });

  await expect(getState(`aws:///us-east-2a/${id}`)).rejects.toThrow();
});
