import type { Item } from "#core/ports/table.ts";
import { memoryTable } from "../../fakes/memory-table.ts";
import { catalogWorld } from "../../fixtures/catalog-requests.ts";
import { developer, type HttpWorld } from "../../worlds/http-world.ts";
import { newNodes } from "../../worlds/memory-world.ts";
import type { AuditPlace } from "../audit-place.ts";
import type { ShownRun } from "../kube-server.ts";
import type { Scene } from "./case.ts";

/** A memory world in which a case prepares the records before its first event. */
export interface CaseWorld {
  readonly world: HttpWorld;
  readonly key: string;
  items(): readonly Item[];
  /** Returns the present state with these events, `everyMs` apart. */
  scene(events: readonly unknown[], everyMs?: number): Promise<Scene>;
}

/** Opens a memory world. It shares the account's sealer and blobs, so the audited function can open its secrets. */
export async function openCaseWorld({ sealer, blobs }: Pick<AuditPlace, "sealer" | "blobs">): Promise<CaseWorld> {
  const table = memoryTable({ sharesItems: "frozen" });
  const world = await catalogWorld({
    nodes: newNodes({ h100: 2, "cpu-x86": 2, "cpu-shared": 2 }).map((node) => ({ ...node, zone: "us-east-1a" })),
    table,
    wrap: (ports) => ({ ...ports, sealer, blobs }),
  });
  Object.assign(world.ctx, { sealer, blobs });
  const key = await world.login(developer);
  return {
    world,
    key,
    items: () => table.all(),
    async scene(events, everyMs = 0) {
      const runs = (await world.compute.listRuns()).map(shown);
      const calls = events.map((event, at) => ({ event, now: world.clock.now() + at * everyMs }));
      return { items: table.all(), runs, calls };
    },
  };
}

function shown({ uid, run }: { readonly uid: string; readonly run: number }): ShownRun {
  return {
    namespace: "berth-environments",
    labels: { "berth/uid": uid, "berth/run": String(run) },
    name: `${uid}-r${run}`,
    node: "one",
  };
}
