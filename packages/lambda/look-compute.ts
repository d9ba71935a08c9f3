import { ec2Clients } from "#aws/ec2-client.ts";
import { ec2Machines } from "#aws/ec2-machines.ts";
import { blobs } from "#aws/s3-blobs.ts";
import type { Compute } from "#core/ports/compute.ts";
import { eksCompute } from "./eks-driver.ts";

/** For looks, which end runs: what a disk held is listed before its run is removed, for its backup. */
export const compute = (): Compute => eksCompute({ machineOf: ec2Machines(ec2Clients().client), blobs: blobs() });
