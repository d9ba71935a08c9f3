import { DescribeInstancesCommand, type EC2Client } from "@aws-sdk/client-ec2";
import type { MachineState, NodeRef } from "#core/ports/compute.ts";
import { unlessNotFound } from "./ec2-client.ts";

/** An instance in one of these states runs nothing and never again what it ran (EC2 User Guide, instance lifecycle). */
const gone = new Set(["terminated", "stopped"]);

/**
 * Asks EC2 what became of the machine behind a node. `unknown` for one that is none of EC2's; throws where EC2 does not
 * answer.
 */
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

/** `aws:///us-east-2a/i-0123456789abcdef0`, as the cloud provider of Kubernetes writes it. */
export function parseInstanceId(providerId: string | null): string | undefined {
  return /^aws:\/\/\/[a-z0-9-]+\/(i-[0-9a-f]{8,17})$/.exec(providerId ?? "")?.[1];
}
