import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { type Item, type Stored, toBrief } from "#core/ports/table.ts";
import { withNewestWriter } from "#core/store/writers.ts";
import { indexFields } from "./table-definition.ts";

/** Attributes of an item in DynamoDB, before marshalling. */
export type Attributes = Record<string, unknown>;

// DynamoDB bills items per started KB, and a ledger of 1,000 nodes would not fit uncompressed.
const plainBytes = 8 * 1024;
// DynamoDB's limit for an item, names and values together.
const maxBytes = 400 * 1024;

const compress = promisify(deflateRaw);
const expand = promisify(inflateRaw);

/** Returns the stored form: up to 8 KB plain, else compressed as `packed` beside keys, writers and index fields. */
export async function toAttributes(item: Stored): Promise<Attributes> {
  const size = Buffer.byteLength(JSON.stringify(item));
  if (size <= plainBytes && hasFitIndexFields(item)) return { ...item };
  const packed = await compress(JSON.stringify(item, refuseNonNumbers));
  const attributes = { ...plainPart(item), packed };
  const bytes = packed.length + Buffer.byteLength(JSON.stringify(plainPart(item)));
  if (bytes > maxBytes) {
    const kb = Math.ceil(bytes / 1024);
    throw new Error(`The item ${item.pk}|${item.sk} has ${kb} KB compressed; DynamoDB keeps at most 400 KB`);
  }
  return attributes;
}

/** Restores an item. Takes the writers that a condition compares, because they may have been edited. */
export async function fromAttributes(attributes: Attributes): Promise<Item> {
  const { packed, writers } = attributes;
  if (!(packed instanceof Uint8Array)) return withNewestWriter(attributes as Item);
  const item = JSON.parse((await expand(packed)).toString()) as object;
  return withNewestWriter({ ...item, writers } as Item);
}

function plainPart(item: Stored): Attributes {
  const fields = item as Stored & Attributes;
  const plain: Attributes = { pk: item.pk, sk: item.sk, writers: item.writers, ...toBrief(item) };
  for (const { partition, sort, sortType, projected } of Object.values(indexFields)) {
    if (!isFit(fields[partition], "S") || !isFit(fields[sort], sortType)) continue;
    for (const name of [partition, sort, ...projected]) plain[name] = fields[name];
  }
  return plain;
}

/** Reports whether the index fields are valid: DynamoDB refuses an item with an empty key or of another type. */
function hasFitIndexFields(item: Stored): boolean {
  const fields = item as Stored & Attributes;
  return Object.values(indexFields).every(
    ({ partition, sort, sortType }) =>
      (fields[partition] === undefined || isFit(fields[partition], "S")) &&
      (fields[sort] === undefined || isFit(fields[sort], sortType)),
  );
}

function isFit(value: unknown, type: "S" | "N"): boolean {
  return type === "N" ? typeof value === "number" : typeof value === "string" && value !== "";
}

/** Throws for NaN and infinities, which JSON would silently write as null. */
function refuseNonNumbers(name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`The field ${name} is ${value}`);
  return value;
}
