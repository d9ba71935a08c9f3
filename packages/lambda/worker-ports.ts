import { systemClock } from "#aws/clock.ts";
import { table } from "#aws/dynamodb/table.ts";
import { volumes as ebsVolumes } from "#aws/ec2/ebs-volumes.ts";
import { ec2Clients } from "#aws/ec2/ec2-client.ts";
import { ec2Machines } from "#aws/ec2/ec2-machines.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import { readConfig } from "#aws/settings/config.ts";
import { withListings } from "#core/disks/listing.ts";
import { withOperatorWord } from "#core/pools/capacity/node-gone.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { ebsArchives } from "#kubernetes/volumes/archives.ts";
import { eksPlace } from "./eks-cluster.ts";
import { eksCompute } from "./eks-driver.ts";

/** Returns the full driver for workers, which stores a disk's file list before it removes a run. */
export const compute = (): Compute => eksCompute({ getMachineState: ec2Machines(ec2Clients().client), blobs: blobs() });

/** Returns the volumes for workers, with file lists for backups. Pods of TOOLS_IMAGE zip volumes, if it is set. */
export const volumes = (): Volumes => {
  const config = readConfig(["TOOLS_IMAGE", "NODE_TOLERATIONS", "IMAGE_PULL_SECRETS"]);
  const { TOOLS_IMAGE: image, NODE_TOLERATIONS: tolerations, IMAGE_PULL_SECRETS: pullSecrets } = config;
  const [ebs, store] = [ebsVolumes(), blobs()];
  const listed = withListings(ebs, store);
  if (image === undefined) return listed;
  // An archive's machine has no run, so only this applies the operator's declaration about it.
  const getMachineState = withOperatorWord({ table: table(), clock: systemClock() }, ec2Machines(ec2Clients().client));
  return {
    ...listed,
    ...ebsArchives(eksPlace(), {
      image,
      tolerations,
      pullSecrets,
      blobs: store,
      findVolume: ebs.findVolume,
      getMachineState,
    }),
  };
};
