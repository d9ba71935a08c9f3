import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, paginateScan } from "@aws-sdk/lib-dynamodb";
import { indexFields } from "#aws/table-definition.ts";
import type { IndexName } from "#core/context.ts";

type Attributes = Record<string, unknown>;
type Entries = ReadonlyMap<string, Attributes>;

/**
 * Brings the indexes in line with the items. The emulator writes an index entry and its item one after the other,
 * so that a stop by SIGKILL may leave an item that no index shows, which nobody would ever look at again.
 * Answers how many entries were wrong.
 */
export async function repairIndexes(client: DynamoDBClient, tableName: string): Promise<number> {
  const documents = DynamoDBDocumentClient.from(client);
  const wrong = await Promise.all(
    (["due", "waiting"] as const).map((index) => repairIndex(documents, tableName, index)),
  );
  return wrong.reduce((sum, count) => sum + count, 0);
}

async function repairIndex(documents: DynamoDBDocumentClient, tableName: string, index: IndexName): Promise<number> {
  const { partition, sort } = indexFields[index];
  const isIndexed = (item: Attributes) => item[partition] !== undefined && item[sort] !== undefined;
  const [items, shown] = await Promise.all([
    scan(documents, { TableName: tableName }, [partition, sort]),
    scan(documents, { TableName: tableName, IndexName: index }, [partition, sort]),
  ]);
  const expected: Entries = new Map([...items].filter(([, item]) => isIndexed(item)));
  const stale = [...shown].filter(([entry]) => !expected.has(entry)).map(([, item]) => item);
  const missing = [...expected].filter(([entry]) => !shown.has(entry)).map(([, item]) => item);
  for (const entry of stale) await withdraw(documents, tableName, entry);
  for (const entry of missing) await rewrite(documents, tableName, entry);
  return stale.length + missing.length;
}

/** Every entry by all that makes it one: its key and its place in the index. */
async function scan(
  client: DynamoDBDocumentClient,
  input: { readonly TableName: string; readonly IndexName?: string },
  fields: readonly [string, string],
): Promise<Entries> {
  const entries = new Map<string, Attributes>();
  for await (const { Items = [] } of paginateScan({ client }, input)) {
    for (const { pk, sk, ...item } of Items) {
      const place = fields.map((field) => item[field]);
      const known = Object.fromEntries(
        fields.flatMap((field, at) => (place[at] === undefined ? [] : [[field, place[at]]])),
      );
      entries.set(JSON.stringify([pk, sk, ...place]), { pk, sk, ...known });
    }
  }
  return entries;
}

/** Writing an item as it is writes its entries as well. */
async function rewrite(documents: DynamoDBDocumentClient, tableName: string, { pk, sk }: Attributes): Promise<void> {
  const { Item } = await documents.send(
    new GetCommand({ TableName: tableName, Key: { pk, sk }, ConsistentRead: true }),
  );
  if (Item) await documents.send(new PutCommand({ TableName: tableName, Item }));
}

/** An entry goes when an item that has it is replaced: so it is given one, and that is replaced by the true item. */
async function withdraw(documents: DynamoDBDocumentClient, tableName: string, entry: Attributes): Promise<void> {
  const Key = { pk: entry.pk, sk: entry.sk };
  const { Item } = await documents.send(new GetCommand({ TableName: tableName, Key, ConsistentRead: true }));
  await documents.send(new PutCommand({ TableName: tableName, Item: { ...Item, ...entry } }));
  if (Item) await documents.send(new PutCommand({ TableName: tableName, Item }));
  if (!Item) await documents.send(new DeleteCommand({ TableName: tableName, Key }));
}
