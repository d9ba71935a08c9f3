import { type DynamoDBDocumentClient, QueryCommand, type QueryCommandInput } from "@aws-sdk/lib-dynamodb";
import {
  briefPaths,
  type IndexQuery,
  type IndexRange,
  type Item,
  type Page,
  type PartitionQuery,
} from "#core/ports/table.ts";
import { type Attributes, fromAttributes } from "./stored-item.ts";
import { indexFields } from "./table-definition.ts";

/** Returns a page of a partition (consistent) or of an index: at most `limit` items and 1 MB. */
export async function queryItems(
  documents: DynamoDBDocumentClient,
  tableName: string,
  query: PartitionQuery | IndexQuery,
): Promise<Page> {
  const input = "index" in query ? indexInput(query) : partitionInput(query);
  const Limit = query.limit;
  const command = new QueryCommand({ TableName: tableName, ...input, ...(Limit === undefined ? {} : { Limit }) });
  const { Items = [], LastEvaluatedKey } = await documents.send(command);
  const isPart = "index" in query || query.brief;
  const items = await Promise.all(Items.map(isPart ? withoutWriters : fromAttributes));
  return LastEvaluatedKey ? { items, next: getCursor(query, LastEvaluatedKey) } : { items };
}

/** Counts an index range up to its limit. DynamoDB reads the entries, at most 1 MB per call, and sends none. */
export async function countEntries(
  documents: DynamoDBDocumentClient,
  tableName: string,
  range: IndexRange,
): Promise<number> {
  let count = 0;
  let start: Attributes | undefined;
  do {
    const input = { TableName: tableName, ...indexInput(range), ...(start && { ExclusiveStartKey: start }) };
    const command = new QueryCommand({ ...input, Select: "COUNT", Limit: range.limit - count });
    const page = await documents.send(command);
    count += page.Count ?? 0;
    start = page.LastEvaluatedKey;
  } while (start && count < range.limit);
  return count;
}

type Input = Omit<QueryCommandInput, "TableName">;

function partitionInput({ pk, prefix, after, newestFirst = false, brief = false }: PartitionQuery): Input {
  const start = after === undefined ? {} : { ExclusiveStartKey: { pk, sk: cursorParts(after)[0] } };
  return {
    KeyConditionExpression: `pk = :pk${prefix === undefined ? "" : " AND begins_with(sk, :prefix)"}`,
    ExpressionAttributeValues: { ":pk": pk, ...(prefix !== undefined && { ":prefix": prefix }) },
    ConsistentRead: true,
    ScanIndexForward: !newestFirst,
    ...(brief && briefProjection),
    ...start,
  };
}

/** Uses placeholders, since some of the names are reserved words of DynamoDB. */
const briefProjection = {
  ProjectionExpression: ["pk", "sk", ...briefPaths.map((path) => path.map((name) => `#${name}`).join("."))].join(", "),
  ExpressionAttributeNames: Object.fromEntries(briefPaths.flat().map((name) => [`#${name}`, name])),
};

function indexInput({ index, partition, from, to, after }: IndexQuery): Input {
  const fields = indexFields[index];
  const [pk, sk, sort] = after === undefined ? [] : cursorParts(after);
  const start = { pk, sk, [fields.partition]: partition, [fields.sort]: sort };
  const range = getRange(from, to);
  return {
    IndexName: index,
    KeyConditionExpression: `#partition = :partition${range}`,
    ExpressionAttributeNames: { "#partition": fields.partition, ...(range !== "" && { "#sort": fields.sort }) },
    ExpressionAttributeValues: {
      ":partition": partition,
      ...(from !== undefined && { ":from": from }),
      ...(to !== undefined && { ":to": to }),
    },
    ...(after === undefined ? {} : { ExclusiveStartKey: start }),
  };
}

/** Returns one condition for both ends, since DynamoDB accepts only one on the sort key. */
function getRange(from: IndexQuery["from"], to: IndexQuery["to"]): string {
  if (from !== undefined && to !== undefined) return " AND #sort BETWEEN :from AND :to";
  if (from !== undefined) return " AND #sort >= :from";
  return to === undefined ? "" : " AND #sort <= :to";
}

/** Sets empty writers. Indexes do not project them, since every write would then update the index too. */
async function withoutWriters(attributes: Attributes): Promise<Item> {
  return { ...attributes, writers: [] } as unknown as Item;
}

/** Returns a cursor without the partition, so that it cannot lead into another one. */
function getCursor(query: PartitionQuery | IndexQuery, last: Attributes): string {
  const { pk, sk } = last;
  const parts = "index" in query ? [pk, sk, last[indexFields[query.index].sort]] : [sk];
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

function cursorParts(cursor: string): unknown[] {
  const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
  if (!Array.isArray(parts)) throw new Error("That is not a cursor of this table");
  return parts;
}
