import type { Stage } from "./stage.ts";

/** Logs and zips: nobody but functions reads them, and what was left half uploaded goes. */
export function makeBlobs({ isProduction }: Stage): sst.aws.Bucket {
  const bucket = new sst.aws.Bucket("Blobs", {
    cors: false,
    versioning: isProduction,
    transform: { bucket: { forceDestroy: !isProduction } },
  });
  new aws.s3.BucketLifecycleConfiguration("BlobsLifecycle", {
    bucket: bucket.name,
    rules: [
      { id: "uploads", status: "Enabled", filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 2 } },
      { id: "deleted", status: "Enabled", filter: {}, noncurrentVersionExpiration: { noncurrentDays: 30 } },
    ],
  });
  return bucket;
}

/** The key of what is sealed (commands, variables, tokens) and of the web shell's queues: without it nobody reads them. */
export function makeSealerKey({ isProduction }: Stage): aws.kms.Key {
  return new aws.kms.Key("Sealer", {
    description: "Berth: seals commands, variables and tokens",
    enableKeyRotation: true,
    deletionWindowInDays: isProduction ? 30 : 7,
  });
}
