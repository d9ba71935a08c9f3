import type { OriginAnswer } from "./edge.ts";

/** The comparable part of an answer. Placeholders replace values that differ between requests, such as ids. */
export interface Compared {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Prepares an answer for comparison. `names` are the names in its request. Compares the headers of
 * docs/apis/common.md#headers-and-bodies.
 */
export function toCompared({ status, headers, body }: OriginAnswer, names: readonly string[] = []): Compared {
  const named = (text: string) =>
    names.filter((name) => name !== "").reduce((sum, name, n) => sum.replaceAll(name, `<name ${n}>`), text);
  const kept = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => !ofTheConnection.has(name))
    .map(([name, value]): [string, string] => [name, getForm(named(value))])
    .toSorted(([name], [otherName]) => (name < otherName ? -1 : 1));
  return { status, headers: Object.fromEntries(kept), body: getForm(named(Buffer.from(body).toString("latin1"))) };
}

/** Each server on the way sets these headers itself. */
const ofTheConnection = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);

/** Values that differ between equal requests, with their placeholders. */
const forms: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>"],
  [/X-Amz-(Credential|Date|Security-Token|Signature)=[\w%-]+/g, "X-Amz-$1=<signed>"],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "<uuid>"],
  [/\bgpu-dev-[0-9a-f]{8}\b/g, "gpu-dev-<hex>"],
  [/\b(inst|op)_[a-z0-9]{12}\b/g, "$1_<id>"],
  [/\b(ws-my-project-developer)-\d+/g, "$1-<seconds>"],
  [/\b(onmemos-my-project-developer)-\d+/g, "$1-<seconds>"],
  [/("(?:api_)?key":)"[\w-]{86}"/g, '$1"<key>"'],
  [/("(?:ticket|code)":)"[\w-]{43}"/g, '$1"<ticket>"'],
  [/^(__Host-berth=)[\w-]{86}; Max-Age=\d+;/g, "$1<key>; Max-Age=<seconds>;"],
  [/("key_prefix":)"[\w-]{8}"/g, '$1"<prefix>"'],
  [/\bevt_\d{13}_[0-9a-f]{32}_(\d+)/g, "evt_<id>_$1"],
  [/\b(vs-code)-[0-9a-f]{8}\b/g, "$1-<hex>"],
  [/\b[0-9a-f]{32}\b/g, "<hex>"],
  [/("uptime":)"[\dhms.]+"/g, '$1"<time>"'],
  [/("uptimeSeconds":)[\d.]+/g, "$1<seconds>"],
  [/("gpu_hours":)[\d.]+/g, "$1<hours>"],
  [/("(?:uuid|sessionId)":)"[0-9a-f]{8}"/g, '$1"<hex>"'],
];

function getForm(text: string): string {
  return forms.reduce((sum, [form, name]) => sum.replaceAll(form, name), text);
}
