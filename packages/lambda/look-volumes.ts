import { volumes as ebsVolumes } from "#aws/ebs-volumes.ts";
import { blobs } from "#aws/s3-blobs.ts";
import { withListings } from "#core/disks/listing.ts";
import type { Volumes } from "#core/ports/volumes.ts";

/** For looks, which make and remove backups: each has the list of files that its run left. */
export const volumes = (): Volumes => withListings(ebsVolumes(), blobs());
