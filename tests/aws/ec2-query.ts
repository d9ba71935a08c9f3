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

export async function readParameters(request: IncomingMessage): Promise<Parameters> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return new Map(new URLSearchParams(Buffer.concat(parts).toString()));
}

/** The values of `Name.1`, `Name.2`, …. */
export function listed(parameters: Parameters, name: string): string[] {
  const values: string[] = [];
  for (let at = 1; parameters.has(`${name}.${at}`); at += 1) values.push(parameters.get(`${name}.${at}`) ?? "");
  return values;
}

export function readTags(parameters: Parameters, name: string): Record<string, string> {
  const tags: Record<string, string> = {};
  for (let at = 1; parameters.has(`${name}.${at}.Key`); at += 1) {
    tags[parameters.get(`${name}.${at}.Key`) ?? ""] = parameters.get(`${name}.${at}.Value`) ?? "";
  }
  return tags;
}

/** One page. EC2 takes MaxResults of 5 to 1,000 only, and not beside ids. */
export function paged(parameters: Parameters, name: string, rows: readonly object[], pageSize: number): object {
  const text = parameters.get("MaxResults");
  const isNamed = parameters.has("VolumeId.1") || parameters.has("SnapshotId.1");
  if (text !== undefined && (isNamed || Number(text) < 5 || Number(text) > 1000)) {
    throw new Ec2Refusal(isNamed ? "InvalidParameterCombination" : "InvalidParameterValue");
  }
  const from = Number(parameters.get("NextToken") ?? 0);
  const to = text === undefined ? rows.length : from + Math.min(Number(text), pageSize);
  return { [name]: rows.slice(from, to), ...(to < rows.length ? { nextToken: String(to) } : {}) };
}

/** Lists are `item`s, as in the answers of EC2. */
export function formatXml(name: string, value: unknown): string {
  if (Array.isArray(value)) return `<${name}>${value.map((entry) => formatXml("item", entry)).join("")}</${name}>`;
  if (typeof value !== "object" || value === null) return `<${name}>${escaped(String(value))}</${name}>`;
  return `<${name}>${Object.entries(value)
    .map(([key, entry]) => formatXml(key, entry))
    .join("")}</${name}>`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (name) => `&#${name.charCodeAt(0)};`);
}
