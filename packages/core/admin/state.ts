import type { Context } from "../context.ts";
import {
  type AdmissionClosure,
  type DrainedPart,
  type OperatorNote,
  type PlannedDrain,
  readAdmission,
} from "../pools/admission/admission.ts";
import { type ListedNode, listNodes } from "../pools/capacity/list-nodes.ts";
import { WORD_MS } from "../pools/capacity/node-gone.ts";
import { nodeGoneKey } from "../store/keys.ts";

const MOST_NODES = 100;

export interface OperatorState {
  readonly paused: Partial<AdmissionClosure> | null;
  readonly drained: readonly (Partial<AdmissionClosure> & { readonly type: string })[];
  readonly drainedParts: readonly DrainedPart[];
  /** The drains whose time has not come. */
  readonly plannedDrains: readonly PlannedDrain[];
  readonly goneNodes: readonly GoneNode[];
  /** The total number. `goneNodes` may have fewer. */
  readonly goneNodeCount: number;
}

/** A machine that an operator declared gone. Times are ms. */
export interface GoneNode extends Partial<OperatorNote>, Pick<ListedNode, "name" | "uid" | "pool"> {
  readonly since: number;
  readonly until: number;
}

/** Returns the operators' closures and declarations. Closures stored by earlier versions have neither time nor name. */
export async function readOperatorState(ctx: Context<"table">): Promise<OperatorState> {
  const [{ paused, drained, closures = [], parts = [], planned = [] }, nodes] = await Promise.all([
    readAdmission(ctx),
    listNodes(ctx),
  ]);
  const getNote = (type: string | null) => closures.find((closure) => closure.type === type) ?? {};
  const gone = nodes.flatMap((node) => (node.goneUntil === null ? [] : [{ ...node, until: node.goneUntil }]));
  const shown = gone.slice(0, MOST_NODES);
  const words = await ctx.table.getMany(shown.map(({ uid }) => nodeGoneKey(uid)));
  const byKey = new Map(words.map((word) => [word.pk, word]));
  return {
    paused: paused ? getNote(null) : null,
    drained: drained.map((type) => ({ ...getNote(type), type })),
    drainedParts: parts,
    plannedDrains: planned.filter(({ from }) => from > ctx.clock.now()),
    goneNodes: shown.map(({ name, uid, pool, until }) => {
      const { by, reason }: Readonly<Record<string, unknown>> = byKey.get(nodeGoneKey(uid).pk) ?? {};
      return {
        name,
        uid,
        pool,
        since: until - WORD_MS,
        until,
        ...(isText(by) && { by }),
        ...(isText(reason) && { reason }),
      };
    }),
    goneNodeCount: gone.length,
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
