import {
  DescribeImagesCommand,
  DescribeVolumesCommand,
  type EC2Client,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { afterAll, describe, expect, it } from "vitest";
import { MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { honourTokens } from "#tests/aws/moto-tokens.ts";
import { patient } from "#tests/aws/patient.ts";
import { volumesConformance } from "#tests/conformance/volumes.ts";
import { ebsVolumes } from "./ec2/ebs-volumes.ts";
import { ec2Clients } from "./ec2/ec2-client.ts";
import { ec2Machines } from "./ec2/ec2-machines.ts";

const moto = await startMoto();
/** The suite's zones; moto wants zones of a region. */
const zones = ["zone-a", "zone-b", "z", "elsewhere"];

// The fake EC2 of ebs-volumes.test.ts covers what moto lacks: client tokens, slow snapshots, pages.
describe("volumes and machines on moto's EC2", () => {
  if (!moto) {
    it("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const clients = ec2Clients({ endpoint: moto.endpoint, region: "us-east-1", credentials }, patient);
  honourTokens(clients.client);
  nameZones(clients.client);
  let opened = 0;

  afterAll(async () => {
    for (const client of [clients.client, clients.once]) client.destroy();
    await moto.stop();
  });

  volumesConformance(async () => {
    opened += 1;
    const volumes = ebsVolumes({ ...clients, deployment: `berth-${opened}` });
    const contents = getContents(clients.client);
    return {
      volumes: {
        ...volumes,
        async createSnapshot(volumeId, tags) {
          const made = await volumes.createSnapshot(volumeId, tags);
          contents.keep(made.id, volumeId);
          // Moto completes a snapshot at once, unlike EBS.
          return { ...made, state: "pending" };
        },
      },
      pass: async () => undefined,
      content: contents,
      close: async () => undefined,
    };
  });

  describe("a machine", () => {
    const { client } = clients;
    const getMachine = ec2Machines(client);
    const getState = (id: string) => getMachine({ name: "n", uid: "u", providerId: `aws:///us-east-1a/${id}` });

    it("is running until it is stopped or terminated, and gone then", async () => {
      const [first, second] = await startMachines(client);
      const started = [await getState(first), await getState(second)];
      await client.send(new StopInstancesCommand({ InstanceIds: [first] }));
      await client.send(new TerminateInstancesCommand({ InstanceIds: [second] }));

      expect(started).toEqual(["running", "running"]);
      expect([await getState(first), await getState(second)]).toEqual(["gone", "gone"]);
    });

    it("that EC2 does not know is gone", async () => {
      expect(await getState("i-0fedcba9876543210")).toBe("gone");
    });
  });
});

async function startMachines(client: EC2Client): Promise<[string, string]> {
  const { Images = [] } = await client.send(new DescribeImagesCommand({ Owners: ["amazon"] }));
  const wanted = { ImageId: Images[0]?.ImageId, InstanceType: "m5.large", MinCount: 2, MaxCount: 2 } as const;
  const { Instances = [] } = await client.send(new RunInstancesCommand(wanted));
  const [first, second] = Instances.map(({ InstanceId }) => InstanceId);
  if (!first || !second) throw new Error("moto started no two machines");
  return [first, second];
}

/** Translates the suite's zones in requests and answers. */
function nameZones(client: EC2Client): void {
  type Zoned = { readonly AvailabilityZone?: string };
  const ofMoto = (zone = "") => `us-east-1${"abcd"[zones.indexOf(zone)]}`;
  const ofSuite = <One extends Zoned>(entry: One) => ({
    ...entry,
    AvailabilityZone: zones["abcd".indexOf(entry.AvailabilityZone?.at(-1) ?? "")],
  });
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        if (commandName !== "CreateVolumeCommand" && commandName !== "DescribeVolumesCommand") return next(args);
        const { AvailabilityZone, ...input } = args.input as Zoned;
        const zone = AvailabilityZone === undefined ? {} : { AvailabilityZone: ofMoto(AvailabilityZone) };
        const { output, ...rest } = await next({ ...args, input: { ...input, ...zone } as typeof args.input });
        const { Volumes, ...otherEntry } = output as { readonly Volumes?: readonly Zoned[] };
        return { ...rest, output: { ...output, ...otherEntry, ...(Volumes && { Volumes: Volumes.map(ofSuite) }) } };
      },
    { step: "initialize", name: "zones", priority: "low" },
  );
}

/** Moto's volumes hold nothing, so the contents are kept here. It does report their source. */
function getContents(client: EC2Client) {
  const written = new Map<string, string>();
  return {
    keep: (snapshot: string, volume: string) => void written.set(snapshot, written.get(volume) ?? ""),
    write: async (volume: string, text: string) => void written.set(volume, text),
    async read(volume: string) {
      const { Volumes = [] } = await client.send(new DescribeVolumesCommand({ VolumeIds: [volume] }));
      return written.get(volume) ?? written.get(Volumes[0]?.SnapshotId ?? "") ?? "";
    },
  };
}
