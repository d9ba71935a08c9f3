import type { UserContext } from "../../context.ts";
import type { Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { keyText, ticketKey } from "../../store/keys.ts";
import { writeRecord } from "../../store/write-record.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";

/** The terminal that a ticket opens, and the key that requested the ticket. */
export interface TerminalGrant {
  /** Hash of the key that asked for the ticket. The terminal is closed when this key ends. */
  readonly keyHash: string;
  /** The environment's key as text, its uid and the number of its run. */
  readonly environment: string;
  readonly uid: string;
  readonly run: number;
  /** Host label of the address that the ticket is for. */
  readonly label: string;
  /** Origin of the page that asked for the ticket, or null for a program. */
  readonly origin: string | null;
  readonly terminal: string;
  /** Whether the ticket starts the terminal. Otherwise it only opens one that exists. */
  readonly isNew: boolean;
}

export interface TerminalTicket extends Stored, TerminalGrant {
  readonly kind: "ticket";
  readonly expiresAt: number;
  readonly isUsed: boolean;
  readonly ttl: number;
}

export interface IssuedTicket extends Pick<TerminalGrant, "label" | "terminal"> {
  /** The clear ticket. Only its hash is stored. */
  readonly ticket: string;
  readonly expiresAt: number;
}

interface TicketRequest {
  /** An existing terminal. Undefined for a new one. */
  readonly terminal: string | undefined;
  readonly origin: string | null;
}

const TICKET_MS = 30_000;
const KEPT_SECONDS = 3_600;
const MOST_ORIGIN = 300;

/** 256 random bits as base64url. */
const TICKET_BYTES = 32;

/**
 * Issues a ticket for a terminal of an active environment. Throws `notFound`, or `conflict` if it is not active or the
 * deployment has no gateway.
 */
export async function issueTerminalTicket(
  ctx: UserContext<"table">,
  id: string,
  { terminal, origin }: TicketRequest,
  formatWord: (environment: Environment) => string,
): Promise<IssuedTicket> {
  const environment = await getEnvironment(ctx, id);
  const words = `Cannot open a terminal of ${ctx.noun} ${id}`;
  if (environment.phase !== "active" || environment.end.outcome) {
    throw new Problem("conflict", `${words} in status ${formatWord(environment)}`);
  }
  const { userAccess } = ctx.settings;
  if (userAccess !== undefined && userAccess !== "gateway") {
    throw new Problem("conflict", `${words}: this deployment has no gateway`);
  }
  // All opaque origins are `null`, so such a page could use the ticket of another one.
  if (origin !== null && (origin === "null" || origin.length > MOST_ORIGIN)) {
    throw new Problem("invalid", `${words} from a page of this Origin`);
  }
  const ticket = ctx.ids.secret(TICKET_BYTES);
  const now = ctx.clock.now();
  const record: TerminalTicket = {
    ...ticketKey(ctx.ids.hash(ticket)),
    writers: [],
    kind: "ticket",
    keyHash: ctx.actor.keyHash,
    environment: keyText(environment),
    uid: environment.uid,
    run: environment.run.n,
    label: environment.addressLabel ?? environment.id,
    origin,
    terminal: terminal ?? ctx.ids.uid(),
    isNew: terminal === undefined,
    expiresAt: now + TICKET_MS,
    isUsed: false,
    ttl: Math.ceil(now / 1000) + KEPT_SECONDS,
  };
  if (!(await writeRecord(ctx, record))) throw new Error("A random ticket was in use");
  return { ticket, label: record.label, terminal: record.terminal, expiresAt: record.expiresAt };
}
