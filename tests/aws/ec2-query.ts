import type { IncomingMessage } from "node:http";

/** The parameters of a call of EC2's query protocol. */
export type Parameters = ReadonlyMap<string, string>;

/** A call that is refused with a code of EC2's. */
export class Ec2Refusal extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status = 400) {
    super(code);
    this.code = code;
    this.status = status;
  }
}

export async function parametersOf(request: IncomingMessage): Promise<Parameters> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return new Map(new URLSearchParams(Buffer.concat(parts).toString()));
}

/** The values of `Name.1`, `Name.2`, …. */
export function listed(asked: Parameters, name: string): string[] {
  const values: string[] = [];
  for (let at = 1; asked.has(`${name}.${at}`); at += 1) values.push(asked.get(`${name}.${at}`) ?? "");
  return values;
}

export function tagsOf(asked: Parameters, name: string): Record<string, string> {
  const tags: Record<string, string> = {};
  for (let at = 1; asked.has(`${name}.${at}.Key`); at += 1) {
    tags[asked.get(`${name}.${at}.Key`) ?? ""] = asked.get(`${name}.${at}.Value`) ?? "";
  }
  return tags;
}

/** One page. EC2 takes MaxResults of 5 to 1,000 only, and not beside ids. */
export function paged(asked: Parameters, name: string, rows: readonly object[], pageSize: number): object {
  const given = asked.get("MaxResults");
  const isNamed = asked.has("VolumeId.1") || asked.has("SnapshotId.1");
  if (given !== undefined && (isNamed || Number(given) < 5 || Number(given) > 1000)) {
    throw new Ec2Refusal(isNamed ? "InvalidParameterCombination" : "InvalidParameterValue");
  }
  const from = Number(asked.get("NextToken") ?? 0);
  const to = given === undefined ? rows.length : from + Math.min(Number(given), pageSize);
  return { [name]: rows.slice(from, to), ...(to < rows.length ? { nextToken: String(to) } : {}) };
}

/** Lists are `item`s, as in the answers of EC2. */
export function xmlOf(name: string, value: unknown): string {
  if (Array.isArray(value)) return `<${name}>${value.map((one) => xmlOf("item", one)).join("")}</${name}>`;
  if (typeof value !== "object" || value === null) return `<${name}>${escaped(String(value))}</${name}>`;
  return `<${name}>${Object.entries(value)
    .map(([key, one]) => xmlOf(key, one))
    .join("")}</${name}>`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
