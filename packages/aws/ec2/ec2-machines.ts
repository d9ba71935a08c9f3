import { DescribeInstancesCommand, type EC2Client } from "@aws-sdk/client-ec2";
import type { MachineState, NodeRef } from "#core/ports/compute.ts";
import { unlessNotFound } from "./ec2-client.ts";

/** States in which an instance never runs its work again (EC2 User Guide, instance lifecycle). */
const gone = new Set(["terminated", "stopped"]);

/** Returns a reader of a machine's state: `unknown` outside EC2. Throws if EC2 does not answer. */
export function ec2Machines(client: EC2Client): (node: NodeRef) => Promise<MachineState> {
  return async ({ providerId }) => {
    const id = parseInstanceId(providerId);
    if (id === undefined) return "unknown";
    const found = await unlessNotFound(client.send(new DescribeInstancesCommand({ InstanceIds: [id] })));
    const [instance] = (found?.Reservations ?? []).flatMap(({ Instances = [] }) => Instances);
    const state = instance?.State?.Name;
    return state === undefined || gone.has(state) ? "gone" : "running";
  };
}

/** Parses a provider id of Kubernetes: `aws:///us-east-2a/i-0123456789abcdef0`. */
export function parseInstanceId(providerId: string | null): string | undefined {
  return /^aws:\/\/\/[a-z0-9-]+\/(i-[0-9a-f]{8,17})$/.exec(providerId ?? "")?.[1];
}
