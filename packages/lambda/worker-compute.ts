import { ec2Clients } from "#aws/ec2/ec2-client.ts";
import { ec2Machines } from "#aws/ec2/ec2-machines.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import type { Compute } from "#core/ports/compute.ts";
import { eksCompute } from "./eks-driver.ts";

/** Returns the full driver for workers, which stores a disk's file list before it removes a run. */
export const compute = (): Compute => eksCompute({ getMachineState: ec2Machines(ec2Clients().client), blobs: blobs() });
