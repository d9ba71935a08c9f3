import { DescribeVolumesCommand, type EC2Client } from "@aws-sdk/client-ec2";
import { afterAll, describe, it } from "vitest";
import { volumesConformance } from "#testing/conformance/volumes.ts";
import { ebsVolumes } from "./ebs-volumes.ts";
import { ec2Clients } from "./ec2-client.ts";
import { MOTO_MISSING, startMoto } from "./test-servers/moto.ts";
import { honourTokens } from "./test-servers/moto-tokens.ts";
import { patient } from "./test-servers/patient.ts";

const moto = await startMoto();
/** Those of the suite, for which moto wants ones of a region. */
const zones = ["zone-a", "zone-b", "z", "elsewhere"];

// What moto leaves out (client tokens, snapshots that take time, pages) the fake EC2 of ebs-volumes.test.ts has.
describe("volumes on the EC2 of moto, which nobody of us wrote", () => {
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
    const contents = contentsOf(clients.client);
    return {
      volumes: {
        ...volumes,
        async createSnapshot(volumeId, tags) {
          const made = await volumes.createSnapshot(volumeId, tags);
          contents.keep(made.id, volumeId);
          // Of moto it is complete at once, which no snapshot of EBS is.
          return { ...made, state: "pending" };
        },
      },
      pass: async () => undefined,
      content: contents,
      close: async () => undefined,
    };
  });
});

/** The suite's zones on the way in, and again on the way out. */
function nameZones(client: EC2Client): void {
  type Zoned = { readonly AvailabilityZone?: string };
  const ofMoto = (zone = "") => `us-east-1${"abcd"[zones.indexOf(zone)]}`;
  const ofSuite = <One extends Zoned>(one: One) => ({
    ...one,
    AvailabilityZone: zones["abcd".indexOf(one.AvailabilityZone?.at(-1) ?? "")],
  });
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        if (commandName !== "CreateVolumeCommand" && commandName !== "DescribeVolumesCommand") return next(args);
        const { AvailabilityZone, ...input } = args.input as Zoned;
        const zone = AvailabilityZone === undefined ? {} : { AvailabilityZone: ofMoto(AvailabilityZone) };
        const { output, ...rest } = await next({ ...args, input: { ...input, ...zone } as typeof args.input });
        const { Volumes, ...other } = output as { readonly Volumes?: readonly Zoned[] };
        return { ...rest, output: { ...output, ...other, ...(Volumes && { Volumes: Volumes.map(ofSuite) }) } };
      },
    { step: "initialize", name: "zones", priority: "low" },
  );
}

/** Moto's volumes hold nothing. What they were made of it says, and the rest is kept here. */
function contentsOf(client: EC2Client) {
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
