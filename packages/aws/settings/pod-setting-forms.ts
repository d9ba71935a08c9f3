import { BlockList, isIP } from "node:net";
import * as z from "zod";
import { findInstanceType } from "#core/fleet.ts";
import { findTypesProblem } from "#core/machine-types-problem.ts";
import { metadataAddresses } from "#core/metadata-addresses.ts";
import { image, jsonIn, list } from "./setting-forms.ts";

/** Checks MACHINE_TYPES, which the core reads itself (packages/core/fleet.ts). */
export function machineTypes() {
  return z.string().superRefine((text, ctx) => {
    const message = findTypesProblem(text);
    if (message !== undefined) ctx.addIssue({ code: "custom", message });
  });
}

const RESOURCE =
  /^(hugepages-[1-9]\d{0,9}[KMGT]i|(?!nvidia\.com\/)[a-z0-9][a-z0-9.-]{0,251}\/[A-Za-z0-9][A-Za-z0-9._-]{0,62})$/;
const AMOUNT = /^[1-9]\d{0,8}([KMGT]i)?$/;

/** Parses MACHINE_RESOURCES: extended resources and huge pages. GPUs, processors and memory have their own rules. */
export function machineResources() {
  return z
    .string()
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .transform((names) => (names.join() === "none" ? [] : names))
    .refine(
      (names) => names.every((name) => RESOURCE.test(name)),
      "must be none, or resources like vpc.amazonaws.com/efa,hugepages-2Mi",
    )
    .default(["vpc.amazonaws.com/efa", "hugepages-2Mi"]);
}

/** Parses NEW_MACHINE_RESOURCES, `<instance type>=<resource>:<amount>`, into amounts by resource by type. */
export function newMachineResources() {
  const rule = "must be resources of machine types, like p5.48xlarge=vpc.amazonaws.com/efa:32, separated by commas";
  return z
    .string(rule)
    .transform((text) => text.split(",").map(getNewResource))
    .refine((entries) => entries.every(({ name, amount }) => RESOURCE.test(name) && AMOUNT.test(amount)), {
      error: rule,
      abort: true,
    })
    .refine((entries) => entries.every(({ instanceType }) => findInstanceType(instanceType)), "must name known types")
    .transform((entries) => {
      const byType = Map.groupBy(entries, ({ instanceType }) => instanceType);
      const toAmounts = (some: typeof entries) => Object.fromEntries(some.map(({ name, amount }) => [name, amount]));
      return Object.fromEntries([...byType].map(([instanceType, some]) => [instanceType, toAmounts(some)]));
    })
    .default({});
}

function getNewResource(text: string): { instanceType: string; name: string; amount: string } {
  const [instanceType = "", resource = ""] = text.trim().split("=");
  const [name = "", amount = ""] = resource.split(":");
  return { instanceType, name, amount };
}

/** Parses POD_CAPABILITIES. No other capability is harmless outside of its container. */
export function podCapabilities() {
  return list(
    /^(SYS_PTRACE|IPC_LOCK|SYS_RESOURCE)$/,
    "capabilities among SYS_PTRACE, IPC_LOCK and SYS_RESOURCE",
  ).default([]);
}

/**
 * Parses POD_NETWORK_ALLOW, `<network>[=<port>+<port>]`. Never a network that contains a node's own addresses: they give
 * out its credentials.
 */
export function podNetworkAllow() {
  return list(/^[0-9a-fA-F.:]+\/\d{1,3}(=\d{1,5}(\+\d{1,5})*)?$/, "networks like 10.20.0.0/16 or 10.20.0.0/16=443+8080")
    .transform((entries) => entries.map(getAllowed))
    .refine(
      (allowed) => allowed.every(({ cidr, ports }) => isAllowable(cidr) && ports.every(isPort)),
      "must name networks without 127.0.0.0/8, 169.254.0.0/16, fe80::/10, fd00:ec2::/32 and metadata addresses of other clouds, and ports to 65535",
    )
    .default([]);
}

function getAllowed(text: string): { cidr: string; ports: number[] } {
  const [cidr = "", ports] = text.split("=");
  return { cidr, ports: ports?.split("+").map(Number) ?? [] };
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

/** Networks of a node itself, and metadata addresses, of AWS (Amazon EC2, "Instance metadata") and other clouds. */
const ofNodes: readonly (readonly [start: string, length: number, family: "ipv4" | "ipv6"])[] = [
  ...metadataAddresses.map((address) => [address, 32, "ipv4"] as const),
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["::1", 128, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["fd00:ec2::", 32, "ipv6"],
  // IPv4 addresses in the form of IPv6 (RFC 4291, 2.5.5.2).
  ["::ffff:0:0", 96, "ipv6"],
];

/** Reports whether the network is valid and shares no address with those of nodes. Two networks share one's base or none. */
function isAllowable(cidr: string): boolean {
  const [base = "", bits = ""] = cidr.split("/");
  const family = isIP(base) === 6 ? "ipv6" : "ipv4";
  if (isIP(base) === 0 || Number(bits) > (family === "ipv6" ? 128 : 32)) return false;
  const network = new BlockList();
  network.addSubnet(base, Number(bits), family);
  return ofNodes.every(([start, length, kind]) => {
    if (kind !== family) return true;
    const reserved = new BlockList();
    reserved.addSubnet(start, length, kind);
    return !reserved.check(base, family) && !network.check(start, kind);
  });
}

const CLAIM =
  /^(?!vol-|volume-)[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?=\/[A-Za-z0-9_][\w.-]*(\/[A-Za-z0-9_][\w.-]*)*:(ro|rw)$/;
/** Directories of images, and of Berth. */
const SYSTEM = /^\/(bin|boot|dev|etc|home|lib\w*|opt|proc|root|run|sbin|sys|tmp|usr|var|workspace)(\/|$)/;

/** Parses SHARED_CLAIMS, `<claim>=<path>:ro|rw`. Disks of users are claims, too: their names are refused. */
export function sharedClaims() {
  return list(CLAIM, "claims that are not Berth's, with a path, like datasets=/data/sets:ro or scratch=/scratch:rw")
    .transform((entries) => entries.map(getClaim))
    .refine((claims) => claims.every(({ path }) => !SYSTEM.test(path)), "must name no directory that images have")
    .refine(areApart, "must name each claim once, and no directory in another")
    .default([]);
}

interface SharedClaim {
  readonly name: string;
  readonly path: string;
  readonly isReadOnly: boolean;
}

function getClaim(text: string): SharedClaim {
  const [name = "", target = ""] = text.split("=");
  return { name, path: target.slice(0, -3), isReadOnly: target.endsWith(":ro") };
}

function areApart(claims: readonly SharedClaim[]): boolean {
  const paths = claims.map(({ path }) => `${path}/`);
  const isIn = (path: string) => paths.filter((other) => path.startsWith(other)).length > 1;
  return new Set(claims.map(({ name }) => name)).size === claims.length && !paths.some(isIn);
}

const NAME = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
/**
 * Names that Berth, Kubernetes and container runtimes give a meaning: an annotation can switch AppArmor off or add a
 * network beside the network policy.
 */
const RESERVED = /^([^/]*\.)?(berth|kubernetes\.io|k8s\.io|cncf\.io)\/|^io\.|^(job-name|controller-uid)$/;

/** Parses POD_PATCH, a JSON merge patch (RFC 7396) for pods. */
export function podPatch() {
  return z.string().transform((text, ctx) => {
    const parsed = patchSchema().safeParse(jsonIn(text));
    if (parsed.success) return parsed.data;
    const fields = [...new Set(parsed.error.issues.map(getField))].join(", ");
    ctx.addIssue({
      code: "custom",
      message: `must be JSON like {"metadata":{"labels":{"team":"a"}}}. Refused: ${fields}`,
    });
    return z.NEVER;
  });
}

/** Allows the fields of a pod that do not weaken its isolation. */
function patchSchema() {
  const own = z
    .string()
    .regex(NAME)
    .refine((name) => !RESERVED.test(name));
  const value = z.string().regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/);
  const named = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/);
  const metadata = { labels: z.record(own, value).optional(), annotations: z.record(own, z.string()).optional() };
  const spec = {
    nodeSelector: z.record(z.string().regex(NAME), value).optional(),
    runtimeClassName: named.optional(),
    // A class of the system would preempt the pods of the cluster itself.
    priorityClassName: named.refine((name) => !name.startsWith("system-")).optional(),
  };
  return z.strictObject({ metadata: z.strictObject(metadata).optional(), spec: z.strictObject(spec).optional() });
}

/** Returns the path of a refused field. Names in maps may be long, and values never appear. */
function getField({ path, ...issue }: z.core.$ZodIssue): string {
  const [part, field] = path.map(String);
  const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  return (
    [part, field, unknown]
      .filter((name) => name !== undefined)
      .join(".")
      .slice(0, 100) || "the whole text"
  );
}

/** Parses NODE_TYPES: node labels that imply an instance type. */
export function nodeTypes() {
  return list(NODE_TYPE, "label selectors with instance types, like gpu.vendor/model=h100=p5.48xlarge")
    .default([])
    .transform((rules) => rules.map(getNodeType))
    .refine((rules) => rules.every(({ instanceType }) => findInstanceType(instanceType)), "must name known types");
}

const NODE_TYPE = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,316}(=[A-Za-z0-9._-]{0,63})?=[a-z0-9.-]{1,40}$/;

/** Parses `<label>=<instance type>` or `<label>=<value>=<instance type>`. */
function getNodeType(text: string): { label: string; value: string | null; instanceType: string } {
  const [label = "", ...rest] = text.split("=");
  const instanceType = rest.pop() ?? "";
  return { label, value: rest[0] ?? null, instanceType };
}

/** Parses PREPULL_IMAGES: names of images, separated by commas. */
export function prepullImages() {
  return z
    .string()
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .pipe(z.array(image()));
}
