import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { decideEnd, enter } from "#core/environments/record/transitions.ts";
import { stopNow } from "#core/environments/verbs/stop.ts";
import type { Item } from "#core/ports/table.ts";
import { HOUR_MS } from "#core/units.ts";
import { newWorkspace, operator, plainJob, smallJob, submitJob } from "../../fixtures/catalog-requests.ts";
import type { AuditPlace } from "../audit-place.ts";
import type { Left, Scene } from "./case.ts";
import type { CaseWorld } from "./case-world.ts";

/** Changes to the catalog's request and stored state, with the volumes and snapshots that must exist in EC2. */
interface Special extends Partial<Pick<Scene, "items" | "volumes" | "snapshots">> {
  readonly at?: string;
  readonly body?: unknown;
  readonly times?: number;
}

export interface Arrangement {
  readonly name: string;
  arrange(place: AuditPlace, opened: CaseWorld): Promise<Special>;
  /** Expected status, if it is not the endpoint's success status. */
  readonly status?: number;
  problems?(left: Left): Promise<readonly string[]>;
}

/** The endpoint stores the key's use in the background. */
const withIdleKey: Arrangement = {
  name: "with a key that was last used two hours ago",
  async arrange(_, { items }) {
    const aged = (item: Item) => ({ ...item, lastUsedAt: Number(item.lastUsedAt) - 2 * HOUR_MS });
    return { items: items().map((item) => (item.kind === "key" ? aged(item) : item)) };
  },
  async problems({ table, scene: { items } }) {
    const keys = items.filter(({ kind }) => kind === "key");
    const now = await Promise.all(keys.map((key) => table.get(key)));
    const isNoted = keys.some((key, at) => Number(now[at]?.lastUsedAt) > Number(key.lastUsedAt));
    return isNoted ? [] : ["the use of its key is not noted"];
  },
};

/** Requests by route that need more calls than the catalog's request. */
export const arrangements: Readonly<Record<string, readonly Arrangement[]>> = {
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
  "POST /v1/jobs/{job_id}/users": [
    {
      name: "of a job by the beginning of its id",
      async arrange(_, opened) {
        const id = await startPrinting(opened);
        return { at: `/v1/jobs/${id.slice(0, 13)}/users` };
      },
    },
  ],
  "GET /v1/jobs": [withIdleKey],
  "POST /v1/jobs/estimate": [withIdleKey],
  "POST /v1/jobs/submit": [
    {
      name: "under the id of a job that is there",
      status: 409,
      async arrange(_, { world, key, items }) {
        await submitJob(world, key, jobOfChosenId);
        return { body: jobOfChosenId, items: withoutNotes(items()) };
      },
      async problems({ table, scene: { items } }) {
        const [spec] = items.filter(({ kind }) => kind === "spec");
        const left = spec ? (await table.query({ pk: spec.pk })).items : [];
        return left.length === 1 ? [] : [`${left.length} specifications are left`];
      },
    },
    {
      name: "under the id of a deleted job that still has a receiver",
      async arrange(_, { world, key, items }) {
        await submitJob(world, key, { ...jobOfChosenId, webhook_url: "https://hooks.example/" });
        const end = { phase: "deleted", reason: "Its disk was taken", at: world.clock.now() } as const;
        // A submit leaves its job in this state if another job took its disk (core/disks/names/acquire.ts).
        const left = withChanged(withoutNotes(items()), chosenId, (job) =>
          enter(decideEnd(job, end), "deleted", end.at, end.reason),
        );
        return { body: jobOfChosenId, items: left };
      },
    },
  ],
  "POST /api/v1/environments": [
    {
      name: "under a host name that was claimed for a workspace of which no record is left",
      async arrange(_, { world, key, items }) {
        const body = newWorkspace("left-workspace");
        await world.request("POST", "/api/v1/environments", { key, body });
        world.clock.advance(HOUR_MS);
        return { body, items: items().filter(({ kind }) => kind !== "environment") };
      },
    },
  ],
  "POST /api/v1/environments/start": [
    {
      name: "of one that was stopped before it ran, and whose specification is still there",
      async arrange(_, { world, key, items }) {
        const body = newWorkspace("early-workspace");
        await world.request("POST", "/v1/admin/admission/pause", { key: await world.login(operator) });
        await world.request("POST", "/api/v1/environments", { key, body });
        // A reconcile would delete the environment's specification. This start comes before it.
        const left = withChanged(items(), body.workspaceId, (early) => stopNow(early, world.clock.now(), null));
        return { body, items: left };
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
        const snapshots = disk.snapshots.map((snapshot) => snapshot.id);
        return { at: "/v1/disks/kept/rename", volumes: world.volumes.volumeIds(), snapshots };
      },
    },
  ],
};

const chosenId = "6f1c2f5e-8a0b-4c3d-9e7f-0123456789ab";

const jobOfChosenId = { ...plainJob, env_vars: { RESERVATION_ID: chosenId } };

/** Removes idempotency records, so a repeated create counts as new. */
function withoutNotes(items: readonly Item[]): Item[] {
  return items.filter(({ kind }) => kind !== "idempotency");
}

function withChanged(items: readonly Item[], id: string, change: (environment: Environment) => Environment): Item[] {
  return items.map((item) => {
    const isRecord = item.kind === "environment" && item.id === id;
    return isRecord ? (change(parseEnvironment(item)) as unknown as Item) : item;
  });
}

/** Limit of keys of one user. The next login revokes the oldest key. */
const MOST_KEYS = 10;

interface Backed {
  readonly snapshots: readonly { readonly id: string }[];
}

/** Starts a job whose command prints a line, and returns its id. */
async function startPrinting({ world, key }: Pick<CaseWorld, "world" | "key">): Promise<string> {
  const id = await submitJob(world, key, { ...smallJob, command: "train" });
  await world.deliver();
  for (const { uid, run } of await world.compute.listRuns()) world.compute.print(uid, run, "a line\n");
  return id;
}
