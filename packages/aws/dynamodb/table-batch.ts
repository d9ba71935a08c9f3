import { setTimeout as sleep } from "node:timers/promises";
import { BatchGetCommand, type DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Item, Key } from "#core/ports/table.ts";
import { type Attributes, fromAttributes } from "./stored-item.ts";

const keysPerCall = 100;
const maxRounds = 8;

/** Throws if DynamoDB keeps leaving items unread. */
export async function getManyItems(
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
