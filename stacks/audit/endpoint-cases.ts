import type { Item } from "#core/ports/table.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { goodRequest, smallJob, submitJob } from "#testing/catalog-requests.ts";
import { loginBody } from "#testing/http-world.ts";
import type { EndpointEntry, FallbackEntry } from "../functions-file.ts";
import { type AuditPlace, loginRole } from "./audit-place.ts";
import type { Case, Scene } from "./case.ts";
import { type CaseWorld, openCaseWorld } from "./case-world.ts";
import { gatewayEvent } from "./gateway-event.ts";

/** Requests that the endpoint answers with its success status. */
export function endpointCases(place: AuditPlace, entry: EndpointEntry, endpoint: Endpoint): Case[] {
  return [undefined, ...(arrangements[entry.route] ?? [])].map((arrangement) => ({
    name: arrangement ? `${entry.route}, ${arrangement.name}` : entry.route,
    entry,
    async arrange() {
      const opened = await openCaseWorld(place);
      const { world, key, scene } = opened;
      const { method, path, sent } = await goodRequest(world, endpoint, key);
      const {
        at = path,
        body = await bodyOf(place, entry, sent.body),
        times = 1,
        ...more
      } = (await arrangement?.arrange(place, opened)) ?? {};
      for (const name of world.blobs.names()) await place.blobs.put(name, (await world.blobs.get(name)) as Uint8Array);
      return { ...(await scene(Array(times).fill(gatewayEvent(method, at, { ...sent, body })))), ...more };
    },
    problems: unlessStatus(statuses[entry.route] ?? endpoint.status),
    mayLog: logged[entry.route] ?? [],
  }));
}

/** A path that no endpoint takes. */
export function fallbackCase(place: AuditPlace, entry: FallbackEntry): Case {
  return {
    name: "GET /nothing-there",
    entry,
    arrange: async () => (await openCaseWorld(place)).scene([gatewayEvent("GET", "/nothing-there", {})]),
    problems: unlessStatus(404),
  };
}

function unlessStatus(wanted: number): Case["problems"] {
  return (answers) =>
    answers.flatMap(({ value }) => {
      const { statusCode, body } = (value ?? {}) as { readonly statusCode?: number; readonly body?: string };
      // A rename answers what went wrong with a backup's name beside its success.
      const isRefused = body?.includes("EC2 refused it");
      return statusCode === wanted && !isRefused ? [] : [`answered ${statusCode}: ${body?.slice(0, 300)}`];
    });
}

/** Whom the STS of tests knows is nobody in the account. */
async function bodyOf({ account }: AuditPlace, { route }: EndpointEntry, body: unknown): Promise<unknown> {
  return route === "POST /v1/auth/aws-login" ? loginBody(await account.credentialsOf(loginRole)) : body;
}

/** What differs from the catalog's request and what is stored then, and which volumes and snapshots EC2 must have. */
interface Special extends Partial<Pick<Scene, "items" | "volumes" | "snapshots">> {
  readonly at?: string;
  readonly body?: unknown;
  /** How often it comes. */
  readonly times?: number;
}

/** Of one user: a login beyond that has the oldest one revoked. */
const MOST_KEYS = 10;

interface Arrangement {
  readonly name: string;
  arrange(place: AuditPlace, opened: CaseWorld): Promise<Special>;
}

/** Requests that ask more of the stores than the one of the catalog, by route. */
const arrangements: Readonly<Record<string, readonly Arrangement[]>> = {
  "GET /v1/jobs/{job_id}/logs": [
    {
      name: "of a job that has ended",
      async arrange(_, { world, key }) {
        const id = await startPrinting({ world, key });
        await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
        await world.advance(60_000);
        return { at: `/v1/jobs/${id}/logs` };
      },
    },
    {
      name: "of a job that prints, by the beginning of its id",
      async arrange(_, opened) {
        const id = await startPrinting(opened);
        return { at: `/v1/jobs/${id.slice(0, 13)}/logs` };
      },
    },
  ],
  "POST /v1/auth/aws-login": [
    {
      name: "once more than a user has keys",
      arrange: async () => ({ times: MOST_KEYS + 1 }),
    },
  ],
  "POST /v1/admin/records/end": [
    {
      name: "of a disk",
      async arrange(_, { world, key, items }) {
        await world.request("POST", "/v1/disks", { key, body: { disk_name: "broken" } });
        const isBroken = ({ kind, name }: Item) => kind === "disk" && name === "broken";
        const broken = items().map((item) => (isBroken(item) ? { ...item, phase: "hibernating" } : item));
        const { pk, sk } = items().find(isBroken) as Item;
        return { body: { key: `${pk}|${sk}` }, items: broken };
      },
    },
  ],
  "GET /v1/jobs/{job_id}": [
    {
      name: "with the token of its notebook",
      async arrange(_, { world, key }) {
        const id = await startPrinting({ world, key });
        await world.request("POST", `/v1/jobs/${id}/jupyter/enable`, { key });
        await world.advance(60_000);
        return { at: `/v1/jobs/${id}` };
      },
    },
  ],
  "GET /v1/disks/{disk_name}/content": [
    {
      name: "whose owner's directory was lost",
      arrange: async (_, { items }) => ({ items: items().filter(({ kind }) => kind !== "directory") }),
    },
    {
      name: "which is in use",
      async arrange(_, { world, key }) {
        await submitJob(world, key, { ...smallJob, disk_name: "held" });
        await world.deliver();
        return { at: "/v1/disks/held/content" };
      },
    },
  ],
  "POST /v1/disks/{disk_name}/rename": [
    {
      name: "which is held for a job of which no record is left",
      async arrange(_, { world, key, items }) {
        await submitJob(world, key, { ...smallJob, disk_name: "held" });
        return { at: "/v1/disks/held/rename", items: items().filter(({ kind }) => kind !== "environment") };
      },
    },
    {
      name: "which has a backup",
      async arrange(_, { world, key, items }) {
        const id = await submitJob(world, key, { ...smallJob, disk_name: "kept" });
        await world.advance(60_000);
        await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
        await world.advance(600_000);
        const disk = items().find(({ kind, name }) => kind === "disk" && name === "kept") as Item & Backed;
        const snapshots = disk.snapshots.map((one) => one.id);
        return { at: "/v1/disks/kept/rename", volumes: world.volumes.volumeIds(), snapshots };
      },
    },
  ],
};

interface Backed {
  readonly snapshots: readonly { readonly id: string }[];
}

/** The id of a job whose command has printed a line. */
async function startPrinting({ world, key }: Pick<CaseWorld, "world" | "key">): Promise<string> {
  const id = await submitJob(world, key, { ...smallJob, command: "train" });
  await world.deliver();
  for (const { uid, run } of await world.compute.listRuns()) world.compute.print(uid, run, "a line\n");
  return id;
}

/** Where nobody in the cluster answers as the machines in memory do. */
const statuses: Readonly<Record<string, number>> = { "POST /session/{uuid}/chat": 202 };

/** Log events that are expected: of what was lost or broken for the case. */
const logged: Readonly<Record<string, readonly string[]>> = {
  "GET /v1/disks/{disk_name}/content": ["directory of disks made again"],
  "POST /v1/admin/records/end": ["unreadable record", "unreadable record ended"],
};
