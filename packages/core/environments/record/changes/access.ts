import type { Context } from "../../../context.ts";
import type { Key } from "../../../ports/table.ts";
import { keyText } from "../../../store/keys.ts";
import { asSealed, type Sealed, WrongSeal } from "../../../store/sealed.ts";
import type { Environment } from "../record.ts";

/** Somebody whose SSH keys open an environment: wanted until they were fetched, then let in with the next telling. */
export interface Guest {
  /** At GitHub. */
  readonly name: string;
  readonly state: "wanted" | "fetched" | "in";
  /** Keys of an earlier request are here: they stay, whatever becomes of this one. */
  readonly known: boolean;
  /** Asked for by an action, not only by the submit. */
  readonly asked?: true | undefined;
  /** How often GitHub could not be asked for them, and when it is asked again. */
  readonly tries: number;
  readonly nextAt: number;
}

/** Who is to reach an environment, and how, and what its run was told of that. */
export interface AccessState {
  /** The user name by which SSH finds it. */
  readonly login: string;
  readonly guests: readonly Guest[];
  /** Wanted, while not null. The origin is where it answers, once it does. */
  readonly jupyter: { readonly token: Sealed; readonly origin: string | null } | null;
  /** Why it is not, where it was wanted and could not be: until it is wanted anew, or no more. */
  readonly jupyterFault?: string | undefined;
  /** The reason why the GitHub user of the submit was refused. A new request for that user clears it. */
  readonly guestFault?: { readonly name: string; readonly reason: string } | undefined;
  /** Keys came with its specification: they open it beside those of its guests. */
  readonly keyed: boolean;
  /** Grows whenever keys or Jupyter are wanted otherwise; 0: nothing was ever wanted. */
  readonly revision: number;
  /** Which of it a run was given last. */
  readonly applied: { readonly run: number; readonly revision: number } | null;
  /** That failed since: how often for this run and its newest request, and when it is tried again. */
  readonly refused?: Refusal | undefined;
}

export interface Refusal {
  readonly run: number;
  readonly request: number;
  readonly tries: number;
  readonly nextAt: number;
}

export interface NewAccess {
  readonly login: string;
  readonly guest: string | undefined;
  readonly jupyter: boolean;
  readonly keyed: boolean;
}

/** The access that a new environment is to have as soon as it is active. */
export async function newAccess(
  ctx: Context<"sealer">,
  environment: Key,
  { login, guest, jupyter, keyed }: NewAccess,
): Promise<AccessState> {
  return {
    login,
    guests: guest === undefined ? [] : [newGuest(guest, 0)],
    jupyter: jupyter ? { token: await sealToken(ctx, environment), origin: null } : null,
    keyed,
    revision: jupyter || keyed ? 1 : 0,
    applied: null,
  };
}

/** Who is in because an action asked for them. */
export function secondaryGuests({ guests }: AccessState): string[] {
  return guests.filter((guest) => guest.asked && isIn(guest)).map(({ name }) => name);
}

/** Whether the run of this number was told of a key that gets in. */
export function letsSomebodyIn({ guests, keyed, applied }: AccessState, run: number): boolean {
  return applied?.run === run && (keyed || guests.some(isIn));
}

/** Whose keys GitHub was asked for in vain, and is asked for again. */
export function retriedGuests({ guests }: AccessState): string[] {
  return guests.filter(({ state, tries }) => state === "wanted" && tries > 0).map(({ name }) => name);
}

function isIn({ state, known }: Guest): boolean {
  return state === "in" || (state === "wanted" && known);
}

export function newGuest(name: string, nextAt: number): Guest {
  return { name, state: "wanted", known: false, tries: 0, nextAt };
}

const TOKEN_BYTES = 32;

/** A new token for a Jupyter that is wanted; it opens for this record only. */
export async function sealToken({ sealer, ids }: Context<"sealer">, environment: Key): Promise<Sealed> {
  return sealer.seal(ids.secret(TOKEN_BYTES), tokenContext(environment));
}

export async function openToken({ sealer }: Context<"sealer">, environment: Key, token: Sealed): Promise<string> {
  return sealer.open(asSealed(token), tokenContext(environment));
}

/** The same environment with a new token, which its run has still to be told. */
export async function wantJupyter(ctx: Context<"sealer">, environment: Environment): Promise<Environment> {
  const { access } = environment;
  const jupyter = { token: await sealToken(ctx, environment), origin: null };
  return { ...environment, access: { ...access, jupyter, jupyterFault: undefined, revision: access.revision + 1 } };
}

/** Where Jupyter answers, and the token that opens it. Null: that cannot be opened any more, as `LOST_TOKEN` says. */
export interface OpenJupyter {
  readonly origin: string;
  readonly token: string | null;
}

/** What is shown in place of a token that no reader opens any more. */
export const LOST_TOKEN =
  "Jupyter's token cannot be opened: it was sealed with another key, or changed. Disable Jupyter and enable it for a new one";

/** Leaves the token out where it cannot be opened: the page then asks for one. */
export function jupyterUrl({ origin, token }: OpenJupyter): string {
  return token === null ? `${origin}/lab` : `${origin}/lab?token=${token}`;
}

/**
 * Address and token of Jupyter, while the environment is active, wants it and it answers. A token with a wrong seal is
 * left out, since whoever lists environments is to see the others; a sealer that does not answer throws.
 */
export async function openJupyter(
  ctx: Context<"sealer">,
  environment: Pick<Environment, "pk" | "sk" | "access" | "phase" | "end">,
): Promise<OpenJupyter | undefined> {
  const {
    access,
    phase,
    end: { outcome },
  } = environment;
  if (phase !== "active" || outcome || !access.jupyter?.origin) return undefined;
  const { origin, token } = access.jupyter;
  try {
    return { origin, token: await openToken(ctx, environment, token) };
  } catch (error) {
    if (error instanceof WrongSeal) return { origin, token: null };
    throw error;
  }
}

/** Not the context of the specification, which the same key seals. */
function tokenContext(environment: Key): string {
  return `${keyText(environment)}#jupyter`;
}
