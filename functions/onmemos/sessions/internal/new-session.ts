import * as z from "zod";
import { type Policy, reservation } from "#core/environments/record/policy.ts";
import type { NewEnvironment } from "#core/environments/verbs/create.ts";
import { sharedType, sharedUnits } from "#core/fleet.ts";
import type { Ids } from "#core/ports/ids.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { MINUTE_MS } from "#core/units.ts";
import { EnvVars } from "../../../shared/internal/env-vars.ts";
import { bucketName, MOST_TTL_MINUTES, serviceName } from "../schemas.ts";

const WORKSPACE_GB = 10;
const resources = { cpus: 1, memoryMb: 2048 };
/** Longest label of a host name (RFC 1035, section 2.3.4). */
const LONGEST_LABEL = 63;
const HASH_LENGTH = 8;

const images = { python: "python:3.13", nodejs: "node:24", go: "golang:1.25" } as const;
const templates = Object.keys(images) as (keyof typeof images)[];
const providers = ["auto", "cloud_run", "gke", "workstations"] as const;
type Provider = Exclude<(typeof providers)[number], "auto">;

function name(field: string) {
  const rule = `${field} must have 1 to 40 letters, numbers, hyphens, and underscores, and begin with a letter or number`;
  const form = z
    .string()
    .min(1)
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, rule);
  return form.transform((text) => text.toLowerCase());
}

const TtlMinutes = z.int().min(1).max(MOST_TTL_MINUTES);

const shared = {
  template: z
    .enum(templates, `template must be one of: ${templates.join(", ")}`)
    .meta({ example: "python" })
    .describe("The software of the session."),
  namespace: name("namespace")
    .meta({ example: "my-project" })
    .describe("A label of your choice, kept in lower case. It is not an identity."),
  user: name("user")
    .meta({ example: "developer" })
    .describe("A label of your choice, kept in lower case. It is not an identity."),
};

/** The published body lists every provider in one text. The first of several counts. */
const Provider = z
  .string()
  .refine(
    (text) => text.split("|").every((token) => (providers as readonly string[]).includes(token)),
    `provider must be one of: ${providers.join(", ")}`,
  );

export const CreateSession = z
  .object({
    ...shared,
    provider: Provider.default("auto").describe(
      "`auto`, `cloud_run`, `gke` or `workstations`. Of several with bars between them the first is taken.",
    ),
    ttl_minutes: TtlMinutes.optional().describe(
      "Lifetime in minutes, counted from the creation. Defaults to 60, with `long_lived` to 1,440.",
    ),
    long_lived: z.boolean().default(false).describe("Whether the lifetime defaults to a day."),
    needs_ssh: z.boolean().default(false).describe("Influences only what `auto` chooses."),
    expected_duration_minutes: z.int().default(0).describe("Influences only what `auto` chooses."),
    env: EnvVars.default({}).describe("Environment variables. No answer ever shows them."),
  })
  .meta({ id: "CreateSession" });

export const CreateWorkspace = z
  .object({
    ...shared,
    ttl_minutes: TtlMinutes.default(180).describe("Lifetime in minutes, counted from the creation."),
  })
  .meta({ id: "CreateWorkspace" });

export interface WantedSession {
  readonly template: keyof typeof images;
  readonly namespace: string;
  readonly user: string;
  readonly provider: Provider;
  readonly ttlMinutes: number;
  readonly env: Readonly<Record<string, string>>;
}

export function wantedSession(body: z.output<typeof CreateSession>): WantedSession {
  const { template, namespace, user, ttl_minutes, long_lived, env } = body;
  const ttlMinutes = ttl_minutes ?? (long_lived ? MOST_TTL_MINUTES : 60);
  return { template, namespace, user, provider: getProvider(body), ttlMinutes, env };
}

/** A workspace is a session at Cloud Run. */
export function wantedWorkspace(body: z.output<typeof CreateWorkspace>): WantedSession {
  const { template, namespace, user, ttl_minutes } = body;
  return { template, namespace, user, provider: "cloud_run", ttlMinutes: ttl_minutes, env: {} };
}

/** The session's time runs from the request, and a failed session stays failed. */
const policy: Policy = { ...reservation, time: "creation" };

export function newSession(ids: Pick<Ids, "hash">, resource: NewResource, wanted: WantedSession): NewEnvironment {
  const { id } = resource;
  const { template, namespace, user, provider, ttlMinutes, env } = wanted;
  const bucket = bucketName(namespace, user, id.slice(id.lastIndexOf("-") + 1));
  return {
    ...resource,
    name: serviceName(id),
    labels: { template, namespace, user, provider, ttl_minutes: String(ttlMinutes) },
    size: {
      pool: sharedType.pool,
      instanceType: sharedType.name,
      machines: 1,
      units: sharedUnits(resources),
      gpus: 0,
      wantedMs: ttlMinutes * MINUTE_MS,
    },
    image: images[template],
    command: undefined,
    env: { ...env, WORKSPACE_ID: id, NAMESPACE: namespace, USER: user, BUCKET_NAME: bucket },
    policy,
    volumes: [{ name: "workspace", path: "/workspace", sizeGb: WORKSPACE_GB }],
    resources,
    addressLabel: hostLabel(ids, serviceName(id)),
  };
}

/** Resolves `auto` from the other fields. All providers run on the same core. */
function getProvider(body: z.output<typeof CreateSession>): Provider {
  const first = body.provider.split("|")[0] as (typeof providers)[number];
  if (first !== "auto") return first;
  if (body.needs_ssh || body.expected_duration_minutes > 60) return "workstations";
  return body.long_lived ? "gke" : "cloud_run";
}

/** Returns a host label. A name that is too long or contains underscores gets a hash at its end. */
function hostLabel(ids: Pick<Ids, "hash">, name: string): string {
  if (name.length <= LONGEST_LABEL && !name.includes("_")) return name;
  const kept = name.replaceAll("_", "-").slice(0, LONGEST_LABEL - HASH_LENGTH - 1);
  return `${kept}-${ids.hash(name).slice(0, HASH_LENGTH)}`;
}
