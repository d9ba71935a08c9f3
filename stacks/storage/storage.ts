import { tableDefinition } from "#aws/dynamodb/table-definition.ts";
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
