import { listingBlob } from "#core/disks/backups/content.ts";
import { listingBlobName } from "#core/disks/listing.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import type { Item } from "#core/ports/table.ts";
import { DAY_MS, MINUTE_MS } from "#core/units.ts";
import type { FunctionEntry } from "../../../stacks/compute/functions-file.ts";
import { plainInstance, smallJob, submitJob } from "../../fixtures/catalog-requests.ts";
import type { AuditPlace } from "../audit-place.ts";
import type { Called } from "../function-process.ts";
import { type Case, LOST_MACHINE, type Scene } from "./case.ts";
import { type CaseWorld, openCaseWorld } from "./case-world.ts";

/** Berth sends no webhook to its own machine. */
const receiver = "https://127.0.0.1:1/jobs";

/** Lists messages of the queue, each with records of a job with a disk. */
export function consumerCases(place: AuditPlace, entry: FunctionEntry): Case[] {
  if (entry.kind !== "consumer") return [];
  const make: Make = (name, arrange, more) => ({ name, entry, arrange, problems: unlessDone, ...more });
  return cases[entry.queue](place, make);
}

type Make = (name: string, arrange: Case["arrange"], more?: Partial<Pick<Case, "problems" | "mayLog">>) => Case;

const cases: Readonly<Record<"work" | "pools" | "webhooks", (place: AuditPlace, make: Make) => Case[]>> = {
  pools: (place, make) => [
    make("a job is granted a machine", async () => {
      const { world, key, scene } = await openCaseWorld(place);
      await submitJob(world, key, smallJob);
      return scene([getBatch(world.queue.receive("pools", 10).map(({ look: message }) => message))]);
    }),
  ],
  webhooks: (place, make) => [
    make("a receiver is sent an event", async () => {
      const { world, key, scene } = await openCaseWorld(place);
      await submitJob(world, key, { ...smallJob, webhook_url: receiver });
      await planAndReconcile({ world });
      return scene([getBatch(world.queue.receive("webhooks", 10).map(({ look: message }) => message))]);
    }),
    make("a delivery that nobody took is removed after its retention", async () => {
      const { world, key, scene } = await openCaseWorld(place);
      await submitJob(world, key, { ...smallJob, webhook_url: receiver });
      await planAndReconcile({ world });
      const messages = getBatch(world.queue.receive("webhooks", 10).map(({ look: message }) => message));
      return scene(Array(4).fill(messages), DAY_MS * 8);
    }),
    make("a message about a delivery comes a second early", async () => {
      const { world, key, scene } = await openCaseWorld(place);
      await submitJob(world, key, { ...smallJob, webhook_url: receiver });
      await planAndReconcile({ world });
      const { items, ...made } = await scene([
        getBatch(world.queue.receive("webhooks", 10).map(({ look: message }) => message)),
      ]);
      const dueAt = world.clock.now() + 1_900;
      return { ...made, items: items.map((item) => (item.kind === "delivery" ? { ...item, dueAt } : item)) };
    }),
  ],
  work: (place, make) => [
    make("a job with a disk starts", async () => {
      const { world, key, items, scene } = await openCaseWorld(place);
      await submitJob(world, key, { ...smallJob, disk_name: "data", github_user: "octocat", webhook_url: receiver });
      await plan({ world });
      return scene(Array(8).fill(passesOver(items())), MINUTE_MS / 2);
    }),
    make("a job with a disk ends, and its disk is backed up", () => endedJob(place)),
    make("a job with a disk ends, whose run has left the list of its files", () => endedJobWithList(place), {
      async problems(answers, { table, scene }) {
        const disk = await table.get(scene.items.find(({ kind }) => kind === "disk") as Item);
        const [backup] = (disk as Item & Backed).snapshots;
        const list = backup && (await place.blobs.get(listingBlob(backup.id)));
        return [...unlessDone(answers), ...(list ? [] : ["its backup has no list of files"])];
      },
    }),
    make("the machine of a job with a disk is lost", () => jobOnLostMachine(place), {
      async problems(answers, { table, scene }) {
        const job = await table.get(scene.items.find(({ kind }) => kind === "environment") as Item);
        return [...unlessDone(answers), ...(job?.phase === "active" ? ["its job goes on"] : [])];
      },
    }),
    make("a notebook that an earlier run gave up is wanted by one whose pod has no address yet", async () => {
      const { world, key, items, scene } = await openCaseWorld(place);
      await world.request("POST", "/api/instances", { key, body: { ...plainInstance, productName: "H100 80GB" } });
      await plan({ world });
      const givenUp = items().map((item) =>
        item.kind === "environment" ? { ...item, access: { ...(item.access as object), jupyter: null } } : item,
      );
      const made = await scene(Array(12).fill(passesOver(items())), MINUTE_MS / 2);
      const nodes = ["h100-1", "h100-2"].map((name) => ({ name, providerId: "aws:///us-east-1a/i-1", isReady: true }));
      return { ...made, items: givenUp, nodes, podsAreServed: false };
    }),
    make("a deleted disk and its backup are removed", async () => {
      const { world, key, items, scene } = await openCaseWorld(place);
      const id = await submitJob(world, key, { ...smallJob, disk_name: "data" });
      await world.advance(MINUTE_MS);
      await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
      await world.advance(10 * MINUTE_MS);
      await world.request("DELETE", "/v1/disks/data", { key });
      await world.deliver();
      const disk = items().find(({ kind }) => kind === "disk") as Item & Backed;
      const { calls, ...made } = await scene(Array(8).fill(passesOver(items())), DAY_MS * 8);
      const snapshots = disk.snapshots.map((snapshot) => snapshot.id);
      return { ...made, calls, volumes: world.volumes.volumeIds(), snapshots };
    }),
  ],
};

interface Backed {
  readonly snapshots: readonly { readonly id: string }[];
}

async function endedJob(place: AuditPlace): Promise<Scene> {
  const { world, key, items, scene } = await openCaseWorld(place);
  const id = await submitJob(world, key, { ...smallJob, disk_name: "data", command: "train" });
  await world.advance(MINUTE_MS);
  await world.request("POST", `/v1/jobs/${id}/cancel`, { key });
  const made = await scene(Array(12).fill(passesOver(items())), MINUTE_MS / 2);
  return { ...made, volumes: world.volumes.volumeIds() };
}

/** The list begins with the name of the run that wrote it (packages/kubernetes/volumes/disk-file-list.ts). */
async function endedJobWithList(place: AuditPlace): Promise<Scene> {
  const { volumes = [], runs = [], ...made } = await endedJob(place);
  const lists = volumes.map((volume) => [listingBlobName(volume), `${runs[0]?.name}\n.:\nfile\n`]);
  return { ...made, volumes, runs, blobs: Object.fromEntries(lists) };
}

async function jobOnLostMachine(place: AuditPlace): Promise<Scene> {
  const { world, key, items, scene } = await openCaseWorld(place);
  await submitJob(world, key, { ...smallJob, disk_name: "data", command: "train" });
  await world.advance(MINUTE_MS);
  const made = await scene(Array(16).fill(passesOver(items())), MINUTE_MS);
  const nodes = [{ name: "one", providerId: `aws:///us-east-1a/${LOST_MACHINE}`, isReady: false }];
  return { ...made, volumes: world.volumes.volumeIds(), nodes };
}

type World = Pick<CaseWorld, "world">;

async function plan({ world }: World): Promise<void> {
  await planPools(
    world.ctx,
    world.queue.receive("pools", 10).map(({ look: message }) => message),
  );
}

/** Plans and reconciles until the job runs. Sends no webhooks. */
async function planAndReconcile({ world }: World): Promise<void> {
  const { reconcile } = await import("#core/reconciler/reconcile.ts");
  await plan({ world });
  for (let round = 0; round < 6; round++) {
    for (const { look: message } of world.queue.receive("work", 10)) await reconcile(world.ctx, message);
    world.clock.advance(MINUTE_MS / 6);
  }
}

function passesOver(items: readonly Item[]): unknown {
  const kinds = ["environment", "disk", "spec", "user", "inbox"];
  const keys = items.filter(({ kind }) => kinds.includes(String(kind)));
  return getBatch(keys.map(({ pk, sk }) => ({ look: `${pk}|${sk}` })));
}

function getBatch(messages: readonly object[]): unknown {
  return { Records: messages.map((message, at) => ({ messageId: String(at), body: JSON.stringify(message) })) };
}

function unlessDone(answers: readonly Called[]): string[] {
  return answers.flatMap(({ value }) => {
    const said = JSON.stringify(value);
    return said === '{"batchItemFailures":[]}' ? [] : [`answered ${said}`];
  });
}
