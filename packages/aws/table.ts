import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import type { Key, Table } from "#core/context.ts";
import { Conflict } from "#core/problem.ts";
import { NOBODY } from "#core/writers.ts";
import { clientOptions, type ServiceAddress, type ServicePatience } from "./client-options.ts";
import { readConfig } from "./config.ts";
import { fromAttributes, toAttributes } from "./stored-item.ts";
import { getManyItems } from "./table-batch.ts";
import { countEntries, queryItems } from "./table-query.ts";

export interface DynamoTableOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
}

/** The table of this deployment, as its environment names it. */
export const table = (): Table =>
  dynamoTable({ client: dynamoClient(), tableName: readConfig(["TABLE_NAME"]).TABLE_NAME });

/** A DynamoDB client with our time limits; without an address it is the environment's. */
export function dynamoClient(address?: ServiceAddress, patience?: ServicePatience): DynamoDBClient {
  return new DynamoDBClient(clientOptions(address, patience));
}

/** The Table on DynamoDB (design section 5): conditional writes, consistent reads, items over 8 KB compressed. */
export function dynamoTable({ client, tableName }: DynamoTableOptions): Table {
  const documents = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
  return {
    async get({ pk, sk }) {
      const command = new GetCommand({ TableName: tableName, Key: { pk, sk }, ConsistentRead: true });
      const { Item: attributes } = await documents.send(command);
      return attributes && fromAttributes(attributes);
    },
    getMany: (keys) => getManyItems(documents, tableName, keys),
    async put(item, { ifWriter } = {}) {
      const Item = await toAttributes(item);
      const command = new PutCommand({ TableName: tableName, Item, ...conditionOf(ifWriter) });
      await documents.send(command).catch(toConflict(item));
    },
    async remove({ pk, sk }, { ifWriter }) {
      const command = new DeleteCommand({ TableName: tableName, Key: { pk, sk }, ...conditionOf(ifWriter) });
      await documents.send(command).catch(toConflict({ pk, sk }));
    },
    query: (query) => queryItems(documents, tableName, query),
    count: (range) => countEntries(documents, tableName, range),
  };
}

function conditionOf(ifWriter: string | null | undefined) {
  if (ifWriter === undefined) return {};
  if (ifWriter === null) return { ConditionExpression: "attribute_not_exists(pk)" };
  const ExpressionAttributeNames = { "#writers": "writers" };
  if (ifWriter !== NOBODY) {
    const ExpressionAttributeValues = { ":seen": ifWriter };
    return { ConditionExpression: "#writers[0] = :seen", ExpressionAttributeNames, ExpressionAttributeValues };
  }
  // The newest writer is absent, is no text, or an empty one.
  return {
    ConditionExpression: "attribute_exists(pk) AND NOT (attribute_type(#writers[0], :text) AND #writers[0] > :empty)",
    ExpressionAttributeNames,
    ExpressionAttributeValues: { ":text": "S", ":empty": NOBODY },
  };
}

function toConflict({ pk, sk }: Key): (error: unknown) => never {
  return (error) => {
    const isRefused = error instanceof Error && error.name === "ConditionalCheckFailedException";
    throw isRefused ? new Conflict(`${pk}|${sk}`) : error;
  };
}
