import { ec2Clients } from "#aws/ec2-client.ts";
import { ec2Machines } from "#aws/ec2-machines.ts";
import type { Compute } from "#core/ports/compute.ts";
import { eksCompute } from "./eks-driver.ts";

/**
 * For schedules: the whole driver. They force no removal, so nothing asks EC2 about a machine, which their roles may
 * not.
 */
export const compute = (): Compute => eksCompute({ machineOf: ec2Machines(ec2Clients().client), blobs: undefined });
