import type { Context } from "../../context.ts";
import { poolTypes } from "../../fleet.ts";
import type { NodeRef } from "../../ports/compute.ts";
import type { MachineNotice } from "../../ports/queue.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { keyOfText, keyText, poolKey } from "../../store/keys.ts";
import { readEach } from "../../store/readable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { MINUTE_MS } from "../../units.ts";
import { nodeLedgerKey, readLedger, readLedgerItems } from "../ledger/ledger.ts";
import { parsePool } from "../ledger/parse.ts";
import type { LedgerItem, NodeLedger } from "../ledger/record.ts";
import { planSoon } from "../plan/plan-soon.ts";
import { currentInterruption, type Interruption, isMoreCertain, mergeNotices } from "./interruption.ts";

/** EC2 User Guide, "Spot Instance interruption notices". */
const SPOT_WARNING_MS = 2 * MINUTE_MS;

/**
 * Stores a provider's notice, closes the machine for new grants, and requests a reconcile of the environments on it.
 * Idempotent. Logs and ignores a notice that holds no longer, or about a machine that no pool has: EC2 reports all
 * machines of the account.
 */
export async function noteMachineNotice(ctx: Context<"table" | "queue">, notice: MachineNotice): Promise<void> {
  const now = ctx.clock.now();
  const { machine, kind } = notice;
  // The provider's clock may be ahead.
  const noticedAt = Math.min(notice.at, now);
  const endsAt = kind === "spot" ? noticedAt + SPOT_WARNING_MS : undefined;
  const next = { kind, noticedAt, endsAt };
  const node = currentInterruption({ interruption: next }, now) && (await findMachine(ctx, machine));
  if (!node) {
    ctx.log.info("interruption ignored", { machine, kind, at: notice.at });
    return;
  }
  const { read } = await changeRecord(ctx, {
    read: () => readNode(ctx, node),
    decide: (item) => {
      const interruption = item && mergeNotices(item, next, now);
      return interruption === item?.interruption ? undefined : item && { ...item, interruption };
    },
    what: `The ledger item of ${node.name} is`,
  });
  // Also after a repeat: the process that stored the notice may have died before it sent these.
  if (read) await Promise.all([planSoon(ctx, node.type), hintHolders(ctx, [read])]);
  ctx.log.warn("machine interrupted", { node: node.name, machine, kind });
}

async function findMachine(ctx: Context<"table">, machine: string): Promise<NodeLedger | undefined> {
  const heads = readEach(ctx, await ctx.table.getMany(poolTypes.map(poolKey)), parsePool);
  const ledgers = await Promise.all(heads.records.map((pool) => readLedger(ctx, pool)));
  const nodes = ledgers.flatMap((ledger) => ledger.nodes);
  return nodes.find(({ providerId, gone }) => !gone && providerId?.slice(providerId.lastIndexOf("/") + 1) === machine);
}

async function readNode(ctx: Context<"table">, node: NodeLedger): Promise<NodeLedger | undefined> {
  const { records } = await readLedgerItems(ctx, [keyText(node)]);
  return records.find((item) => item.kind === "node");
}

/** Requests a reconcile of the environments with grants or runs there. */
export async function hintHolders(ctx: Context<"queue">, items: readonly LedgerItem[]): Promise<void> {
  const keys = new Set(items.flatMap(({ granted, held }) => [...granted, ...held].map(({ key }) => key)));
  const environments = [...keys].flatMap((text) => keyOfText(text) ?? []);
  await Promise.all(environments.map((key) => requestReconcile(ctx, key, { isHint: true, isInterrupted: true })));
}

/**
 * Returns the most certain notice about these machines of a pool, or null if there is none. Returns undefined if a
 * ledger item is missing or unreadable.
 */
export async function readInterruption(
  ctx: Context<"table">,
  pool: string,
  machines: readonly NodeRef[],
  now: number,
): Promise<(Interruption & { readonly node: string }) | null | undefined> {
  const { records } = await readLedgerItems(
    ctx,
    machines.map((machine) => keyText(nodeLedgerKey(ctx, pool, machine))),
  );
  const found = records.flatMap((item) => {
    const interruption = item.kind === "node" ? currentInterruption(item, now) : undefined;
    return item.kind === "node" && interruption ? [{ ...interruption, node: item.name }] : [];
  });
  const [first, ...others] = found;
  if (first) return others.reduce((worst, next) => (isMoreCertain(next.kind, worst.kind) ? next : worst), first);
  return records.length < machines.length ? undefined : null;
}
