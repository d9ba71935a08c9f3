import type { Stage } from "../stage.ts";

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

export function makeSealerKey({ isProduction }: Stage): aws.kms.Key {
  return new aws.kms.Key("Sealer", {
    description: "Berth: seals commands, variables and tokens",
    enableKeyRotation: true,
    deletionWindowInDays: isProduction ? 30 : 7,
  });
}
