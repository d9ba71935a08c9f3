import type { Context, UserContext } from "../context.ts";
import { keyText } from "../keys.ts";
import type { NodeRef } from "../ports/compute.ts";
import { changeRecord } from "../write-record.ts";
import { readLedgerItems } from "./ledger.ts";
import { findDeclared, takeWordBack, unknownNode } from "./node-gone.ts";
import { planSoon } from "./plan-soon.ts";
import type { NodeLedger } from "./record.ts";

/**
 * Takes the operator's word back that a machine is dead. Runs that were lost by it stay lost, and hold their units until
 * they are seen gone: nothing is given back here. Its item counts again from the next listing of the cluster on, as after
 * the 24 h. Throws as `declareNodeGone`. Repeatable, also for a node of which nothing was said.
 */
export async function returnNode(ctx: UserContext<"table" | "queue">, name: string): Promise<NodeRef> {
  const { machine, node } = await findDeclared(ctx, name, newestWord);
  // First, since it is what looks read: where this dies before the item is written, the next call finds the item marked.
  await takeWordBack(ctx, machine);
  if (node) await unmark(ctx, node);
  if (node) await planSoon(ctx, node.type);
  return machine;
}

/** Of several machines of one name, the one that was called dead last; else the one that is there. */
function newestWord(nodes: readonly NodeLedger[]): NodeLedger | undefined {
  const said = nodes.filter(({ saidAt }) => saidAt !== undefined).toSorted((a, b) => (b.saidAt ?? 0) - (a.saidAt ?? 0));
  return said[0] ?? nodes.find(({ gone }) => !gone) ?? nodes[0];
}

/** Only the word goes: a listing has to see the machine before it counts, and before a group makes one less. */
async function unmark(ctx: Context<"table">, { pk, sk, name }: NodeLedger): Promise<void> {
  await changeRecord(ctx, {
    async read() {
      const { records, unreadable } = await readLedgerItems(ctx, [keyText({ pk, sk })]);
      if (unreadable.size > 0) throw unknownNode(name, [...unreadable]);
      return records[0];
    },
    decide(item) {
      if (item?.kind !== "node" || item.saidAt === undefined) return undefined;
      return { ...item, saidAt: undefined };
    },
    what: "The ledger item is",
  });
}
