import { ec2Clients } from "#aws/ec2-client.ts";
import { ec2Machines } from "#aws/ec2-machines.ts";
import type { Compute } from "#core/ports/compute.ts";
import { eksCompute } from "./eks-driver.ts";

/** For schedules: the whole driver, which asks EC2 what became of a machine. */
export const compute = (): Compute => eksCompute({ machineOf: ec2Machines(ec2Clients().client), blobs: undefined });
