import { ec2Clients } from "#aws/ec2/ec2-client.ts";
import { ec2Machines } from "#aws/ec2/ec2-machines.ts";
import type { Compute } from "#core/ports/compute.ts";
import { eksCompute } from "./eks-driver.ts";

/** Returns the driver for schedules. They force no removal, so their roles do not include EC2's states of machines. */
export const compute = (): Compute =>
  eksCompute({ getMachineState: ec2Machines(ec2Clients().client), blobs: undefined });
