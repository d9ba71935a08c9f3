import type { CreateTableCommandInput, GlobalSecondaryIndex } from "@aws-sdk/client-dynamodb";
import type { IndexName } from "#core/ports/table.ts";

/** Fields of each sparse index. An item is in it if it has both key fields. */
export const indexFields = {
  due: { partition: "dueShard", sort: "dueAt", sortType: "N", projected: [] },
  waiting: {
    partition: "waitPool",
    sort: "waitOrder",
    sortType: "S",
    projected: ["uid", "owner", "size", "zone", "createdAt"],
  },
} as const satisfies Record<IndexName, object>;

/** Returns the input of CreateTable: one table, two indexes, billed per request. `ttl` is enabled separately. */
export function tableDefinition(tableName: string): CreateTableCommandInput {
  return {
    TableName: tableName,
    BillingMode: "PAY_PER_REQUEST",
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" },
      { AttributeName: "sk", KeyType: "RANGE" },
    ],
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      { AttributeName: "sk", AttributeType: "S" },
      ...Object.values(indexFields).flatMap(({ partition, sort, sortType }) => [
        { AttributeName: partition, AttributeType: "S" as const },
        { AttributeName: sort, AttributeType: sortType },
      ]),
    ],
    GlobalSecondaryIndexes: [indexDefinition("due"), indexDefinition("waiting")],
  };
}

function indexDefinition(name: IndexName): GlobalSecondaryIndex {
  const { partition, sort, projected } = indexFields[name];
  return {
    IndexName: name,
    KeySchema: [
      { AttributeName: partition, KeyType: "HASH" },
      { AttributeName: sort, KeyType: "RANGE" },
    ],
    Projection:
      projected.length === 0
        ? { ProjectionType: "KEYS_ONLY" }
        : { ProjectionType: "INCLUDE", NonKeyAttributes: [...projected] },
  };
}
