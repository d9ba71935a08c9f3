import type { Actor } from "#core/context.ts";
import type { Identity } from "#core/ports/identity.ts";
import { disableUser, enableUser } from "#core/users/disable.ts";
import { rotateKey } from "#core/users/issue.ts";
import { revokeKey } from "#core/users/keys.ts";
import { login } from "#core/users/login.ts";
import type { Host, Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const MINUTE = 60_000;
/** Time for which a process caches a valid key (packages/http/keys/key-check.ts). */
const REMEMBERED_MS = 5_000;
const KEEPS_MS = 60_000;

/** A key in clear text, with its owner and the time at which its end was answered. */
interface TrackedKey {
  readonly secret: string;
  readonly actor: Actor;
  endedAt: number | undefined;
  /** Whether its end was requested. Until the answer, the key may or may not work. */
  isEnded: boolean;
}

/** Logs in, uses keys on every host, rotates and revokes them. An ended key must soon be refused. */
export function keyActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const keys: TrackedKey[] = [];
  const at = (most: number) => start + sim.random() * most * MINUTE;
  const ask = (when: number, label: string, request: (host: Host) => Promise<void>): ClientAction => ({
    at: when,
    run: () => {
      const host = sim.pick(world.hosts);
      sim.start(
        host,
        `dave: ${label}`,
        () => request(host),
        () => undefined,
      );
    },
  });
  const some = <Made>(count: number, make: () => Made): Made[] => Array.from({ length: count }, make);
  return [
    ...some(1 + Math.floor(sim.random() * 3), () => ask(at(1.5), "login", (host) => logIn(sim, world, host, keys))),
    ...some(Math.floor(sim.random() * 3), () => ask(at(4), "revoke", (host) => revoke(sim, world, host, keys))),
    ...some(Math.floor(sim.random() * 2), () => ask(at(4), "rotate", (host) => rotate(sim, world, host, keys))),
    ...some(20, () => ask(at(7), "use a key", (host) => use(sim, world, host, keys))),
    ...(sim.random() < 0.3 ? [ask(at(3), "disable", (host) => disable(world, host))] : []),
    ...(sim.random() < 0.2 ? [ask(at(5), "enable", (host) => enable(world, host))] : []),
  ];
}

const dave = { account: "000000000000", arn: "arn:aws:sts::000000000000:assumed-role/SSOCloudDevGpuReservation/dave" };
const identity: Identity = { callerOfCredentials: async () => dave, callerOfRequest: async () => dave };
const credentials = { accessKeyId: "", secretAccessKey: "", sessionToken: undefined };

async function logIn(sim: Scheduler, world: SimulatedWorld, host: Host, keys: TrackedKey[]): Promise<void> {
  const ctx = contextOn(world, host);
  const { user, key } = await login({ ...ctx, identity }, { kind: "credentials", credentials });
  const { uid, username, number } = user;
  const keyHash = ctx.ids.hash(key.secret);
  const actor = { uid, username, number, keyPrefix: key.prefix, keyHash, isAdmin: false };
  keys.push({ secret: key.secret, actor, endedAt: undefined, isEnded: false });
  sim.note(`dave has key ${key.prefix}`);
}

async function revoke(sim: Scheduler, world: SimulatedWorld, host: Host, keys: TrackedKey[]): Promise<void> {
  const key = sim.pick(keys);
  if (!key) return;
  key.isEnded = true;
  await revokeKey({ ...contextOn(world, host), ...as(key.actor) }, key.actor.keyPrefix);
  key.endedAt ??= sim.time();
  world.watch.reached.note("key revoked");
}

async function rotate(sim: Scheduler, world: SimulatedWorld, host: Host, keys: TrackedKey[]): Promise<void> {
  const key = sim.pick(keys);
  if (!key) return;
  const ctx = contextOn(world, host);
  const begun = sim.time();
  const works = (hash: string) => {
    const item = world.table.all().find(({ kind, sk, pk }) => kind === "key" && `${pk}${sk}`.includes(hash));
    // The old key works until the overlap ends, so a user can repeat a failed rotation.
    return (
      item !== undefined &&
      (item.revokedAt === null || Number(item.revokedAt) > begun + KEEPS_MS - world.watch.clocksMs())
    );
  };
  const knownEnd = key.endedAt;
  try {
    const rotated = await rotateKey({ ...ctx, ...as(key.actor) });
    if (!key.isEnded && !works(rotated.key.hash))
      world.watch.violations.push("a rotation was answered with a key that ended");
  } catch (error) {
    if (knownEnd === undefined && !key.isEnded && !works(key.actor.keyHash)) {
      world.watch.violations.push("a rotation failed and left no key that works");
    }
    throw error;
  }
  const ends = sim.time() + ctx.settings.keyOverlapSeconds * 1000;
  key.endedAt = Math.min(ends, key.endedAt ?? ends);
  world.watch.reached.note("key rotated");
}

/** Judges only uses that began after the end, because an earlier one may be answered late. */
async function use(sim: Scheduler, world: SimulatedWorld, host: Host, keys: TrackedKey[]): Promise<void> {
  const key = sim.pick(keys);
  if (!key) return;
  const begun = sim.time();
  const knownEndedAt = key.endedAt;
  await world.checks.get(host)?.(new Headers({ Authorization: `Bearer ${key.secret}` }));
  if (knownEndedAt !== undefined && begun > knownEndedAt + REMEMBERED_MS + world.watch.clocksMs()) {
    world.watch.violations.push(`a key was accepted ${Math.round(begun - knownEndedAt)} ms after its end`);
  }
}

async function disable(world: SimulatedWorld, host: Host): Promise<void> {
  await disableUser(contextOn(world, host), "dave");
}

async function enable(world: SimulatedWorld, host: Host): Promise<void> {
  await enableUser(contextOn(world, host), "dave");
}

function as(actor: Actor) {
  return { actor, dialect: "gpu-dev", noun: "job" };
}

function contextOn(world: SimulatedWorld, host: Host) {
  const ctx = world.contexts.get(host);
  if (!ctx) throw new Error(`No context on ${host.name}`);
  return ctx;
}
