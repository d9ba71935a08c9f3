import type { Context } from "../../context.ts";
import type { Item } from "../../ports/table.ts";
import { keyOfText, ticketKey } from "../../store/keys.ts";
import { flag, number, ordinal, orNull, text, uid } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { parseEnvironment } from "../record/parse.ts";
import type { Environment } from "../record/record.ts";
import type { TerminalGrant, TerminalTicket } from "./terminal-tickets.ts";

/** 256 random bits as base64url. */
const ticketForm = /^[A-Za-z0-9_-]{43}$/;

/**
 * Uses a ticket up, and returns what it opens. Returns undefined if it is unknown, expired, used, or for another
 * address or page. If several calls use the same ticket, even in different processes, exactly one succeeds.
 */
export async function takeTerminalTicket(
  ctx: Context<"table">,
  ticket: string,
  { label, origin }: Pick<TerminalGrant, "label" | "origin">,
): Promise<TerminalGrant | undefined> {
  if (!ticketForm.test(ticket)) return undefined;
  const item = await ctx.table.get(ticketKey(ctx.ids.hash(ticket)));
  if (!item) return undefined;
  const record = parseTicket(item);
  if (record.isUsed || record.expiresAt <= ctx.clock.now()) return undefined;
  // A ticket that reached another host or page is known there, so it is used up as well.
  const used = await writeRecord(ctx, { ...record, isUsed: true });
  return used && record.label === label && record.origin === origin ? record : undefined;
}

/** Returns the environment that has the name in a grant now. `isGrantedRun` tells whether it is the same one. */
export async function findGranted(
  { table }: Pick<Context<"table">, "table">,
  name: TerminalGrant["environment"],
): Promise<Environment | undefined> {
  const key = keyOfText(name);
  const item = key && (await table.get(key));
  return item && parseEnvironment(item);
}

/** Reports whether the run of a grant is active, and no end of it is decided. */
export function isGrantedRun(environment: Environment | undefined, { uid, run }: TerminalGrant): boolean {
  if (environment?.uid !== uid || environment.run.n !== run) return false;
  return environment.phase === "active" && !environment.end.outcome;
}

const parseTicket: (item: Item) => TerminalTicket = createParser(
  "ticket",
  {
    keyHash: text,
    environment: text,
    uid,
    run: ordinal,
    label: text,
    origin: orNull(text),
    terminal: text,
    isNew: flag,
    expiresAt: number,
    isUsed: flag,
    ttl: number,
  },
  { "it names no environment": ({ environment }) => keyOfText(environment) !== undefined },
);
