import { reservation } from "#core/environments/record/policy.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { createEnvironment, type NewEnvironment } from "#core/environments/verbs/create.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { touchEnvironment } from "#core/environments/verbs/touch.ts";
import { sharedType } from "#core/fleet.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { Outcome } from "../../fakes/memory-run.ts";
import { newActor, newEnvironment } from "../../worlds/memory-world.ts";
import type { Agenda } from "../agenda.ts";
import { cancel, extend, submit } from "../clients/clients.ts";
import { asUser, type UserPorts } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const GPU_POOLS = ["h100", "a100"] as const;

export type Role = "heavy" | "researcher" | "session" | "newcomer";

export interface Person {
  readonly name: string;
  readonly uid: string;
  readonly role: Role;
  /** Start of the working day, in ms after midnight. */
  readonly rises: number;
}

export interface People {
  readonly all: readonly Person[];
  findRole(owner: string): Role | undefined;
  /** Stops new requests and ends what still lives. */
  goHome(): void;
}

/** A few users have most of the queue, one in six has a session, one in ten comes for the first time that week. */
function getRole(n: number, count: number): Role {
  if (n < Math.max(1, Math.round(count / 125))) return "heavy";
  if (n % 6 === 0) return "session";
  return n % 10 === 5 ? "newcomer" : "researcher";
}

export function newPeople(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, count: number, lasts: number): People {
  const start = sim.time();
  const days = Math.ceil(lasts / DAY);
  const all = Array.from({ length: count }, (_, n): Person => {
    const name = `p${String(n + 1).padStart(3, "0")}`;
    return { name, uid: newActor(name).uid, role: getRole(n, count), rises: (7 + 4 * sim.random()) * HOUR };
  });
  const roles = new Map(all.map(({ uid, role }) => [uid, role]));
  let isOpen = true;
  const later = (when: number, run: () => void) => agenda.at(when, () => isOpen && run());
  const made = new Map<string, number>();
  const nextId = (name: string) => {
    made.set(name, (made.get(name) ?? 0) + 1);
    return `job-${made.get(name)}`;
  };
  const find = (person: Person, id: string) =>
    [...world.watch.living().values()].find(({ owner, id: its }) => owner === person.uid && its === id);

  function work(person: Person, day: number): void {
    const morning = start + day * DAY + person.rises;
    const isWeekend = day % 7 >= 5;
    if (person.role === "heavy") burst(person, morning, Number(person.name.slice(1)) % 2 === 1);
    if (person.role === "session" && !isWeekend) sessionDay(person, morning, day);
    if (person.role !== "researcher") return;
    if (isWeekend && sim.random() > 0.2) return;
    for (let jobs = drawn([0, 1, 1, 1, 2]); jobs > 0; jobs--)
      later(morning + sim.random() * 9 * HOUR, () => job(person));
  }

  /** Submits many small jobs, or fewer larger ones. */
  function burst(person: Person, morning: number, isMany: boolean): void {
    const pool = isMany ? "h100" : "a100";
    const at = morning + sim.random() * 6 * HOUR;
    const jobs = (isMany ? 160 : 100) + Math.floor(sim.random() * 60);
    for (let n = 0; n < jobs; n++) {
      const gpus = isMany ? drawn([1, 1, 2]) : drawn([2, 4, 4, 8]);
      const hours = isMany ? 0.4 + 0.6 * sim.random() : 0.7 + 2 * sim.random();
      later(at + n * 400 * sim.random(), () => submit(sim, world, person.name, input(person, { pool, gpus, hours })));
    }
  }

  function input(person: Person, request: Parameters<typeof newEnvironment>[1]): NewEnvironment {
    return newEnvironment(nextId(person.name), request);
  }

  /** Submits one job, sometimes with a disk or a command, sometimes cancelled or extended. */
  function job(person: Person): void {
    const hasCommand = sim.random() < 0.08;
    const hours = hasCommand ? 0.1 + 0.3 * sim.random() : 1 + 5 * sim.random() * sim.random() + sim.random();
    const disk = sim.random() < 0.3 ? "data" : undefined;
    const gpus = drawn(count < 100 ? [1, 1, 2, 2, 4, 4, 8] : [1, 1, 2, 2, 4, 8, 8, 16]);
    const wanted = input(person, {
      pool: drawn(GPU_POOLS),
      gpus,
      hours,
      disk,
      ...(hasCommand && { command: "train" }),
    });
    submit(sim, world, person.name, wanted);
    const at = sim.time();
    if (sim.random() < 0.12) later(at + 3 * HOUR * sim.random(), () => cancel(sim, world, person.name, wanted.id));
    if (sim.random() < 0.12) {
      const extraMs = Math.round(HOUR * (0.3 + sim.random()));
      later(at + hours * HOUR * sim.random(), () => {
        if (find(person, wanted.id)?.phase === "active") extend(sim, world, person.name, wanted.id, extraMs);
      });
    }
  }

  /** Uses a session on a shared machine all day, or on a GPU for a while, with breaks, a night or a stop. */
  function sessionDay(person: Person, morning: number, day: number): void {
    const evening = morning + (6 + 4 * sim.random()) * HOUR;
    const ask = (label: string, request: (ctx: UserPorts) => Promise<unknown>) =>
      asUser(sim, world, person.name, label, request);
    const isFirst = !made.has(person.name);
    made.set(person.name, 1);
    later(morning, () => {
      if (isFirst) ask("create desk", (ctx) => createEnvironment(ctx, desk(person)));
      else ask("start desk", (ctx) => requestStart(ctx, "desk"));
    });
    const lunch = morning + 3.5 * HOUR + sim.random() * HOUR;
    for (let at = morning + 10 * MINUTE; at < evening; at += (10 + 25 * sim.random()) * MINUTE) {
      if (at > lunch && at < lunch + HOUR) continue;
      later(at, () => ask("use desk", (ctx) => touchEnvironment(ctx, "desk", ctx.clock.now())));
    }
    if (sim.random() < 0.3) later(evening, () => ask("stop desk", (ctx) => requestStop(ctx, "desk")));
    if (day % 7 === 4 && sim.random() < 0.3) {
      later(evening + 2 * HOUR, () => {
        made.delete(person.name);
        ask("delete desk", (ctx) => requestDelete(ctx, "desk"));
      });
    }
  }

  function desk(person: Person): NewEnvironment {
    const isGpu = Number(person.name.slice(1)) % 4 === 1;
    const idle = { afterMs: drawn([HOUR, 2 * HOUR]), everyMs: 5 * MINUTE };
    const base = newEnvironment("desk", { pool: isGpu ? "a100" : "h100", gpus: 1, hours: 9 });
    const shared = { pool: sharedType.pool, instanceType: sharedType.name, machines: 1, units: 2, gpus: 0 };
    return {
      ...base,
      size: isGpu ? base.size : { ...base.size, ...shared },
      resources: { cpus: 2, memoryMb: 8192 },
      policy: { ...reservation, time: "none", restarts: true, idle },
      volumes: [{ name: "home", path: "/home/dev8", sizeGb: 20 }],
    };
  }

  function drawn<T>(from: readonly T[]): T {
    return from[Math.floor(sim.random() * from.length)] as T;
  }

  for (const person of all) {
    for (let day = 0; day < days; day++) agenda.at(start + day * DAY, () => isOpen && work(person, day));
    if (person.role === "newcomer") later(start + (0.1 + 0.8 * sim.random()) * lasts, () => job(person));
  }
  return {
    all,
    findRole: (owner) => roles.get(owner),
    goHome() {
      isOpen = false;
      for (const { owner, id, policy, end, phase } of world.watch.living().values()) {
        const person = all.find(({ uid }) => uid === owner);
        if (!person || end.outcome || isEnded({ phase })) continue;
        if (policy.restarts) asUser(sim, world, person.name, "delete desk", (ctx) => requestDelete(ctx, "desk"));
        else cancel(sim, world, person.name, id);
      }
    },
  };
}

/** Decides the fate of each run: most last until their deadline, some end earlier, a few fail. */
export function chooseFate(sim: Scheduler): (compute: MemoryCompute, environment: Environment) => void {
  return (compute, { uid, size, hasCommand, policy }) => {
    const afterMs = Math.round(size.wantedMs * sim.random());
    const chance = policy.restarts ? 1 : sim.random();
    let fate: Outcome = { kind: "lives" };
    if (chance < 0.35 || hasCommand) fate = { kind: "exits", code: chance < 0.05 ? 2 : 0, afterMs };
    else if (chance < 0.37) fate = { kind: "killed", signal: "SIGKILL", afterMs };
    else if (chance < 0.39) fate = { kind: "imageFails", reason: "Image not found" };
    else if (chance < 0.4) fate = { kind: "neverBinds", reason: "0/2 nodes are available" };
    compute.program(uid, fate, { ignoresTerm: chance > 0.9 && chance < 1 });
  };
}
