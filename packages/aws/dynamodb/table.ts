import { setTimeout as sleep } from "node:timers/promises";
import { DynamoDBClient, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  TransactWriteCommand,
} from "@aws-sdk/lib-dynamodb";
import type { Clock } from "#core/ports/clock.ts";
import {
  type ConditionalPut,
  type Item,
  type Key,
  MOST_PUT_AT_ONCE,
  type Stored,
  type Table,
} from "#core/ports/table.ts";
import { Conflict } from "#core/problem.ts";
import { NO_WRITER } from "#core/store/writers.ts";
import { clientOptions, type ServiceAddress, type ServicePatience } from "../client-options.ts";
import { systemClock } from "../clock.ts";
import { readConfig } from "../settings/config.ts";
import { watchStoreClock } from "./store-clock.ts";
import { type Attributes, fromAttributes, toAttributes } from "./stored-item.ts";
import { countEntries, queryItems } from "./table-query.ts";

export interface DynamoTableOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Clock to compare with the Date header of each answer. Default: the system's. */
  readonly clock?: Clock;
}

export const table = (): Table =>
  dynamoTable({ client: dynamoClient(), tableName: readConfig(["TABLE_NAME"]).TABLE_NAME });

/** Returns a DynamoDB client with our time limits, by default for the environment. */
export function dynamoClient(address?: ServiceAddress, patience?: ServicePatience): DynamoDBClient {
  return new DynamoDBClient(clientOptions(address, patience));
}

/** Implements Table on DynamoDB (docs/architecture/table.md). Compresses items over 8 KB. */
export function dynamoTable({ client, tableName, clock = systemClock() }: DynamoTableOptions): Table {
  const documents = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
  return {
    async get({ pk, sk }) {
      const command = new GetCommand({ TableName: tableName, Key: { pk, sk }, ConsistentRead: true });
      const { Item: attributes } = await documents.send(command);
      return attributes && fromAttributes(attributes);
    },
    getMany: (keys) => getManyItems(documents, tableName, keys),
    put: (item, { ifWriter } = {}) => putOne(documents, tableName, item, ifWriter),
    async putAll(puts) {
      const [only, ...others] = puts;
      // A transaction costs twice as much.
      if (only && others.length === 0) return putOne(documents, tableName, only.item, only.ifWriter);
      if (only) await putTogether(documents, tableName, puts);
    },
    async remove({ pk, sk }, { ifWriter }) {
      const command = new DeleteCommand({ TableName: tableName, Key: { pk, sk }, ...buildCondition(ifWriter) });
      await documents.send(command).catch(toConflict({ pk, sk }));
    },
    query: (query) => queryItems(documents, tableName, query),
    count: (range) => countEntries(documents, tableName, range),
    clockAheadMs: watchStoreClock(documents, clock),
  };
}

async function putOne(
  documents: DynamoDBDocumentClient,
  tableName: string,
  item: Stored,
  ifWriter: string | null | undefined,
): Promise<void> {
  const Item = await toAttributes(item);
  const command = new PutCommand({ TableName: tableName, Item, ...buildCondition(ifWriter) });
  await documents.send(command).catch(toConflict(item));
}

/** Writes items in one transaction. DynamoDB refuses an item that is named twice. */
async function putTogether(
  documents: DynamoDBDocumentClient,
  tableName: string,
  puts: readonly ConditionalPut[],
): Promise<void> {
  if (puts.length > MOST_PUT_AT_ONCE)
    throw new Error(`putAll takes at most ${MOST_PUT_AT_ONCE} items, not ${puts.length}`);
  const TransactItems = await Promise.all(
    puts.map(async ({ item, ifWriter }) => {
      return { Put: { TableName: tableName, Item: await toAttributes(item), ...buildCondition(ifWriter) } };
    }),
  );
  await documents.send(new TransactWriteCommand({ TransactItems })).catch((error: unknown) => {
    const at = refusedPut(error);
    throw at === undefined ? error : new Conflict(formatKeyText(puts[at]?.item));
  });
}

/** Returns the index of the put that lost a race, or undefined if the transaction failed for another reason. */
function refusedPut(error: unknown): number | undefined {
  if (!(error instanceof TransactionCanceledException)) return undefined;
  const codes = (error.CancellationReasons ?? []).map(({ Code }) => Code);
  const at = codes.findIndex((code) => code === "ConditionalCheckFailed" || code === "TransactionConflict");
  return at < 0 ? undefined : at;
}

function buildCondition(ifWriter: string | null | undefined) {
  if (ifWriter === undefined) return {};
  if (ifWriter === null) return { ConditionExpression: "attribute_not_exists(pk)" };
  const ExpressionAttributeNames = { "#writers": "writers" };
  if (ifWriter !== NO_WRITER) {
    const ExpressionAttributeValues = { ":seen": ifWriter };
    return { ConditionExpression: "#writers[0] = :seen", ExpressionAttributeNames, ExpressionAttributeValues };
  }
  // The newest writer is absent, not a text, or empty.
  return {
    ConditionExpression: "attribute_exists(pk) AND NOT (attribute_type(#writers[0], :text) AND #writers[0] > :empty)",
    ExpressionAttributeNames,
    ExpressionAttributeValues: { ":text": "S", ":empty": NO_WRITER },
  };
}

/** Error names of a lost race. A concurrent transaction on the same item counts as one. */
const refusals: readonly string[] = ["ConditionalCheckFailedException", "TransactionConflictException"];

function toConflict(key: Key): (error: unknown) => never {
  return (error) => {
    const isRefused = error instanceof Error && refusals.includes(error.name);
    throw isRefused ? new Conflict(formatKeyText(key)) : error;
  };
}

function formatKeyText(key: Key | undefined): string {
  return key ? `${key.pk}|${key.sk}` : "";
}

const keysPerCall = 100;
const maxRounds = 8;

/** Throws if DynamoDB keeps leaving items unread. */
async function getManyItems(
  documents: DynamoDBDocumentClient,
  tableName: string,
  keys: readonly Key[],
): Promise<Item[]> {
  const distinct = [...new Map(keys.map(({ pk, sk }) => [JSON.stringify([pk, sk]), { pk, sk }])).values()];
  const batches = [];
  for (let start = 0; start < distinct.length; start += keysPerCall) {
    batches.push(getBatch(documents, tableName, distinct.slice(start, start + keysPerCall)));
  }
  const found = (await Promise.all(batches)).flat();
  return Promise.all(found.map(fromAttributes));
}

/** Reads one batch. Repeats the call for keys that DynamoDB skipped, over 16 MB or when throttled. */
async function getBatch(documents: DynamoDBDocumentClient, tableName: string, keys: Key[]): Promise<Attributes[]> {
  const found: Attributes[] = [];
  let open: Record<string, unknown>[] = keys.map((key) => ({ ...key }));
  for (let round = 0; round < maxRounds; round += 1) {
    const request = { [tableName]: { Keys: open, ConsistentRead: true } };
    const { Responses, UnprocessedKeys } = await documents.send(new BatchGetCommand({ RequestItems: request }));
    found.push(...(Responses?.[tableName] ?? []));
    open = UnprocessedKeys?.[tableName]?.Keys ?? [];
    if (open.length === 0) return found;
    await sleep(25 * 2 ** round);
  }
  throw new Error(`DynamoDB left ${open.length} of ${keys.length} items unread`);
}
