import { tableDefinition } from "#aws/dynamodb/table-definition.ts";
import { problemsOnLambda } from "#aws/settings/config.ts";
import type { Stage } from "../stage.ts";

/** Creates the table from the definition that tests use. Production protects it from deletion. */
export function makeTable({ tableName, isProduction }: Stage): sst.aws.Dynamo {
  const { KeySchema = [], AttributeDefinitions = [], GlobalSecondaryIndexes = [] } = tableDefinition(tableName);
  const fields = AttributeDefinitions.map(({ AttributeName = "", AttributeType = "" }) => [
    AttributeName,
    fieldType(AttributeType),
  ]);
  const globalIndexes = GlobalSecondaryIndexes.map(({ IndexName = "", KeySchema: keys = [], Projection }) => [
    IndexName,
    { ...getKeys(keys), projection: Projection?.NonKeyAttributes ?? "keys-only" },
  ]);
  return new sst.aws.Dynamo("Records", {
    fields: Object.fromEntries(fields),
    primaryIndex: getKeys(KeySchema),
    globalIndexes: Object.fromEntries(globalIndexes),
    ttl: "ttl",
    transform: {
      table: (table) => {
        table.name = tableName;
        table.deletionProtectionEnabled = isProduction;
      },
    },
  });
}

interface KeyPart {
  readonly AttributeName?: string | undefined;
  readonly KeyType?: string | undefined;
}

function getKeys(parts: readonly KeyPart[]): { hashKey: string; rangeKey: string } {
  const formatName = (type: string) => parts.find(({ KeyType }) => KeyType === type)?.AttributeName ?? "";
  return { hashKey: formatName("HASH"), rangeKey: formatName("RANGE") };
}

function fieldType(type: string): "string" | "number" {
  return type === "N" ? "number" : "string";
}

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

const settings = { OriginSecrets: "ORIGIN_SECRETS", WebhookSecret: "WEBHOOK_SECRET" } as const;

/**
 * Reads a secret of the stage. An invalid one fails the deployment before it changes a function: otherwise all
 * functions would answer 5xx.
 */
export function readSecret(name: keyof typeof settings): $util.Output<string> {
  return new sst.Secret(name).value.apply((value) => checkedSecret(name, value));
}

/** Throws an error that names the problem and never the value. */
export function checkedSecret(name: keyof typeof settings, value: string): string {
  const setting = settings[name];
  const problems = value === "" ? [`  ${setting} must be set`] : problemsOnLambda([setting], { [setting]: value });
  if (problems.length > 0) throw new Error(`The secret ${name} cannot be deployed:\n${problems.join("\n")}`);
  return value;
}
