import { isIP } from "node:net";
import * as z from "zod";
import { findInstanceType } from "#core/fleet.ts";
import type { NodeGroup } from "#core/settings.ts";
import { imageFault, LONGEST_IMAGE } from "#core/text/image-reference.ts";

export function number({ min, max, whole = false }: { min: number; max: number; whole?: boolean }) {
  const rule = `must be a ${whole ? "whole " : ""}number from ${min} to ${max}`;
  return z
    .string()
    .regex(whole ? /^\d+$/ : /^\d+(\.\d+)?$/, rule)
    .transform(Number)
    .refine((value) => value >= min && value <= max, rule);
}

export function text(pattern: RegExp, rule: string) {
  return z.string(rule).regex(pattern, rule);
}

/** A host name with or without a port, which is 22 by default. */
export function sshAddress() {
  return text(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:\d{1,5})?$/i, "must be a host, with or without a port")
    .transform((address) => {
      const [host = "", port = "22"] = address.split(":");
      return { host: host.toLowerCase(), port: Number(port) };
    })
    .refine(({ port }) => port > 0 && port < 65_536, "must have a port from 1 to 65535");
}

export function flag() {
  return z.enum(["0", "1"], { error: "must be 0 or 1" }).transform((value) => value === "1");
}

/** Validates an image name. Each image that `filled` makes of it must have a valid name. */
export function image(filled: (name: string) => string = (name) => name) {
  return z
    .string("must be the name of an image")
    .max(LONGEST_IMAGE, { error: `must be at most ${LONGEST_IMAGE} characters`, abort: true })
    .superRefine((name, ctx) => {
      const fault = imageFault(filled(name));
      if (fault !== undefined) ctx.addIssue({ code: "custom", message: `must be the name of an image: ${fault}` });
    });
}

export function list(pattern: RegExp, noun: string) {
  const rule = `must be ${noun}, separated by commas`;
  return z
    .string(rule)
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .refine((entries) => entries.every((entry) => pattern.test(entry)), rule);
}

/** Addresses and networks, IPv4 and IPv6. */
export function networks() {
  const rule = "must be addresses or networks, such as 192.0.2.0/24, separated by commas";
  return z
    .string(rule)
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .refine((entries) => entries.every(isNetwork), rule);
}

function isNetwork(entry: string): boolean {
  const [, base = "", bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  const mostBits = { 0: -1, 4: 32, 6: 128 }[isIP(base)] ?? -1;
  return Number(bits ?? 0) <= mostBits;
}

/** Reports whether the secret follows Standard Webhooks: base64 follows the prefix `whsec_`. */
export function isBase64AfterPrefix(secret: string): boolean {
  return (
    !secret.startsWith("whsec_") ||
    /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret.slice(6))
  );
}

/** Removes trailing slashes, because paths begin with one and signatures cover the URL. */
export function endpointUrl() {
  return z
    .url({ protocol: /^https?$/, error: "must be a URL" })
    .transform((url) => url.replace(/\/+$/, ""))
    .optional();
}

export function isKeysPattern(text: string): boolean {
  return /^https?:\/\/[^/<>?#]+\/[^<>?#]*<user>[^<>?#]*$/.test(text) && URL.canParse(text.replace("<user>", "user"));
}

export function stsOfAllRegions(): string[] {
  return ["https://sts.amazonaws.com", ...regions.map((region) => `https://sts.${region}.amazonaws.com`)];
}

const annotationKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Parses Kubernetes annotations: a JSON object of texts. */
export function annotations() {
  const rule = 'must be JSON like {"nginx.ingress.kubernetes.io/auth-url":"https://…"}';
  return z.string().transform((text, ctx) => {
    const parsed = z.record(z.string().regex(annotationKey), z.string()).safeParse(jsonIn(text));
    if (parsed.success && Object.keys(parsed.data).length > 0) return parsed.data;
    ctx.addIssue({ code: "custom", message: rule });
    return z.NEVER;
  });
}

export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Regions whose STS a login may name, opt-in regions included (AWS General Reference, STS endpoints). */
const regions = `
  us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 ca-west-1 mx-central-1 sa-east-1
  eu-central-1 eu-central-2 eu-west-1 eu-west-2 eu-west-3 eu-north-1 eu-south-1 eu-south-2
  ap-east-1 ap-east-2 ap-south-1 ap-south-2 ap-northeast-1 ap-northeast-2 ap-northeast-3
  ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6
  ap-southeast-7 af-south-1 il-central-1 me-central-1 me-south-1`
  .trim()
  .split(/\s+/);

/** Parses NODE_GROUPS: the machines that may run. */
export function nodeGroups() {
  return list(NODE_GROUP, "node groups like p5.48xlarge=10 or p5.48xlarge=10:600:us-east-2a+us-east-2b")
    .default([])
    .transform((groups) => groups.map(getNodeGroup))
    .refine(isOfKnownTypes, "must name each known instance type at most once");
}

/** Parses NODE_TOLERATIONS: taints of nodes that are the deployment's own. The cluster sets some taints itself. */
export function nodeTolerations() {
  return list(TOLERATION, "taints like dedicated=research:NoSchedule or team, none of node.kubernetes.io")
    .default([])
    .transform((texts) => texts.map(getToleration));
}

const NODE_GROUP = /^[a-z0-9.-]{1,40}=\d{1,5}(:\d{1,4}(:[a-z0-9-]{1,40}(\+[a-z0-9-]{1,40})*)?)?$/;
const STARTUP_SECONDS = 300;

/** Parses `<instance type>=<most machines>[:<seconds until one is ready>[:<zone>+<zone>]]`. */
function getNodeGroup(text: string): NodeGroup {
  const [name = "", rest = ""] = text.split("=");
  const [most = "", seconds = "", zones = ""] = rest.split(":");
  const startupMs = Number(seconds || STARTUP_SECONDS) * 1000;
  const pool = findInstanceType(name)?.pool ?? "";
  return { pool, mostNodes: Number(most), startupMs, zones: zones.split("+").filter(Boolean) };
}

function isOfKnownTypes(groups: readonly NodeGroup[]): boolean {
  const pools = groups.map(({ pool }) => pool);
  return !pools.includes("") && new Set(pools).size === pools.length;
}

const TOLERATION =
  /^(?!node\.kubernetes)[A-Za-z0-9][A-Za-z0-9._/-]{0,316}(=[A-Za-z0-9._-]{0,63})?(:(PreferNoSchedule|NoSchedule|NoExecute))?$/;

type Effect = "NoSchedule" | "PreferNoSchedule" | "NoExecute" | undefined;

/** Parses `<key>[=<value>][:<effect>]`. Without a value or an effect, each one is tolerated. */
function getToleration(text: string): { key: string; value: string | undefined; effect: Effect } {
  const [taint = "", effect] = text.split(":");
  const [key = "", value] = taint.split("=");
  return { key, value, effect: effect as Effect };
}
