import type { Context, UserContext } from "../../context.ts";
import type { NodeRef } from "../../ports/compute.ts";
import { keyText } from "../../store/keys.ts";
import { changeRecord } from "../../store/write-record.ts";
import { readLedgerItems } from "../ledger/ledger.ts";
import type { NodeLedger } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { findDeclared, takeWordBack, unknownNode } from "./node-gone.ts";

/**
 * Withdraws the operator's declaration that a machine is dead. Lost runs stay lost and hold their units until they are
 * confirmed gone. The machine counts again after the next listing. Idempotent. Throws the same errors as
 * `declareNodeGone`.
 */
export async function returnNode(ctx: UserContext<"table" | "queue">, name: string): Promise<NodeRef> {
  const { machine, node } = await findDeclared(ctx, name, newestWord);
  // Reconciles read the declaration, so withdraw it first. If this process dies here, the next call still finds the
  // marked item.
  await takeWordBack(ctx, machine);
  if (node) await unmark(ctx, node);
  if (node) await planSoon(ctx, node.type);
  return machine;
}

/** Returns the machine that was declared dead last, or else the one that exists. */
function newestWord(nodes: readonly NodeLedger[]): NodeLedger | undefined {
  const said = nodes.filter(({ saidAt }) => saidAt !== undefined).toSorted((a, b) => (b.saidAt ?? 0) - (a.saidAt ?? 0));
  return said[0] ?? nodes.find(({ gone }) => !gone) ?? nodes[0];
}

/** Removes the declaration only. The machine counts once a listing has shown it. */
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
