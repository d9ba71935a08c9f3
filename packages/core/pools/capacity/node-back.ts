import type { Context, UserContext } from "../../context.ts";
import type { NodeRef } from "../../ports/compute.ts";
import { keyText } from "../../store/keys.ts";
import { changeRecord } from "../../store/write-record.ts";
import { readLedgerItems } from "../ledger/ledger.ts";
import type { NodeLedger } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { findDeclared, takeWordBack, unknownNode } from "./node-gone.ts";

/**
 * Takes back the operator's word that a machine is dead. Lost runs stay lost, and hold their units until they are seen
 * gone. The machine counts again after the next listing of the cluster. Throws as `declareNodeGone` does. Repeatable, and
 * harmless for a machine that was never called dead.
 */
export async function returnNode(ctx: UserContext<"table" | "queue">, name: string): Promise<NodeRef> {
  const { machine, node } = await findDeclared(ctx, name, newestWord);
  // Looks read the word, so it goes first. If this process dies here, the next call finds the item still marked.
  await takeWordBack(ctx, machine);
  if (node) await unmark(ctx, node);
  if (node) await planSoon(ctx, node.type);
  return machine;
}

/** Returns the machine that was called dead last, else the one that is there. */
function newestWord(nodes: readonly NodeLedger[]): NodeLedger | undefined {
  const said = nodes.filter(({ saidAt }) => saidAt !== undefined).toSorted((a, b) => (b.saidAt ?? 0) - (a.saidAt ?? 0));
  return said[0] ?? nodes.find(({ gone }) => !gone) ?? nodes[0];
}

/** Removes only the word: the machine counts once a listing has seen it. */
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
