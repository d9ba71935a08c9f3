import { ec2Clients } from "#aws/ec2/ec2-client.ts";
import { ec2Machines } from "#aws/ec2/ec2-machines.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import type { Compute } from "#core/ports/compute.ts";
import { eksCompute } from "./eks-driver.ts";

/**
 * For looks, which end runs: the whole driver, which keeps the list of a disk's files for its backup before it removes
 * a run.
 */
export const compute = (): Compute => eksCompute({ machineOf: ec2Machines(ec2Clients().client), blobs: blobs() });
