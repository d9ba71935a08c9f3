import type { Context } from "../../../context.ts";
import type { Key } from "../../../ports/table.ts";
import { keyText } from "../../../store/keys.ts";
import { asSealed, type Sealed, WrongSeal } from "../../../store/sealed.ts";
import { isJupyterHost } from "../jupyter-label.ts";
import type { Environment } from "../record.ts";

/** A user whose SSH keys open an environment: `wanted` until the keys are fetched, `in` once the run has them. */
export interface Guest {
  readonly name: string;
  readonly state: "wanted" | "fetched" | "in";
  /** Whether keys of an earlier request are stored. They stay even if this request fails. */
  readonly known: boolean;
  /** Set if an action asked for the user, not only the submit. */
  readonly asked?: true | undefined;
  readonly tries: number;
  readonly nextAt: number;
}

export interface AccessState {
  readonly login: string;
  readonly guests: readonly Guest[];
  readonly jupyter: { readonly token: Sealed; readonly origin: string | null } | null;
  /** Why Jupyter failed; kept until it is requested or disabled again. */
  readonly jupyterFault?: string | undefined;
  /** The reason why the GitHub user of the submit was refused. A new request for that user clears it. */
  readonly guestFault?: { readonly name: string; readonly reason: string } | undefined;
  readonly keyed: boolean;
  /** Grows with each change of keys or Jupyter; 0 if there was never one. */
  readonly revision: number;
  readonly applied: { readonly run: number; readonly revision: number } | null;
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

export function secondaryGuests({ guests }: AccessState): string[] {
  return guests.filter((guest) => guest.asked && isIn(guest)).map(({ name }) => name);
}

export function letsSomebodyIn({ guests, keyed, applied }: AccessState, run: number): boolean {
  return applied?.run === run && (keyed || guests.some(isIn));
}

export function retriedGuests({ guests }: AccessState): string[] {
  return guests.filter(({ state, tries }) => state === "wanted" && tries > 0).map(({ name }) => name);
}

function isIn({ state, known: knownKeys }: Guest): boolean {
  return state === "in" || (state === "wanted" && knownKeys);
}

export function newGuest(name: string, nextAt: number): Guest {
  return { name, state: "wanted", known: false, tries: 0, nextAt };
}

const TOKEN_BYTES = 32;

export async function sealToken({ sealer, ids }: Context<"sealer">, environment: Key): Promise<Sealed> {
  return sealer.seal(ids.secret(TOKEN_BYTES), tokenContext(environment));
}

export async function openToken({ sealer }: Context<"sealer">, environment: Key, token: Sealed): Promise<string> {
  return sealer.open(asSealed(token), tokenContext(environment));
}

export async function wantJupyter(ctx: Context<"sealer">, environment: Environment): Promise<Environment> {
  const { access } = environment;
  const jupyter = { token: await sealToken(ctx, environment), origin: null };
  return { ...environment, access: { ...access, jupyter, jupyterFault: undefined, revision: access.revision + 1 } };
}

/** Address and token of Jupyter. The token is null if its seal does not open, as `LOST_TOKEN` says. */
export interface OpenJupyter {
  /** Null on a cluster without a gateway, where no address outside leads to Jupyter. */
  readonly origin: string | null;
  readonly token: string | null;
}

export const LOST_TOKEN =
  "Jupyter's token cannot be opened: it was sealed with another key, or changed. Disable Jupyter and enable it for a new one";

export function jupyterUrl({ origin, token }: OpenJupyter): string | null {
  if (origin === null) return null;
  return token === null ? `${origin}/lab` : `${origin}/lab?token=${token}`;
}

/**
 * Returns address and token while Jupyter answers. A token with a wrong seal becomes null, so that a list still shows
 * the other environments.
 */
export async function openJupyter(
  ctx: Context<"sealer">,
  environment: Pick<Environment, "pk" | "sk" | "access" | "phase" | "end" | "addressLabel">,
): Promise<OpenJupyter | undefined> {
  const {
    access,
    phase,
    end: { outcome },
  } = environment;
  if (phase !== "active" || outcome || !access.jupyter?.origin) return undefined;
  const { token } = access.jupyter;
  const { userAccess, scheme, domain } = ctx.settings;
  const hasHost = userAccess === "gateway" && isJupyterHost(ctx, environment);
  const host = hasHost ? `${scheme}://${environment.addressLabel}.${domain}` : null;
  // On a cluster of AWS the stored origin is an address of the pod, and NetworkPolicies let no user connect to it.
  const origin = userAccess === undefined ? access.jupyter.origin : host;
  try {
    return { origin, token: await openToken(ctx, environment, token) };
  } catch (error) {
    if (error instanceof WrongSeal) return { origin, token: null };
    throw error;
  }
}

function tokenContext(environment: Key): string {
  return `${keyText(environment)}#jupyter`;
}
