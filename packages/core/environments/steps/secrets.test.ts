import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { Table } from "../../ports/table.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText, specKey } from "../../store/keys.ts";
import { reservation } from "../record/policy.ts";
import { writeSpec } from "../record/spec.ts";
import { addCollaborator, requestCancel, requestJupyter } from "../verbs/actions.ts";
import { createEnvironment, type NewEnvironment } from "../verbs/create.ts";
import { requestDelete } from "../verbs/delete.ts";
import { requestStart } from "../verbs/start.ts";
import { requestStop } from "../verbs/stop.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A life of half an hour, its end and the reconciles after it. */
const HOUR_AND_PASSES = 75 * MINUTE;
const receiver = "https://receiver.example/token-in-its-path";
const restartable = { ...reservation, time: "none", restarts: true } as const;

/** The form of the memory sealer: a text and its checksum. */
const sealedForm = /"[\w-]+\.[\w-]{43}"/;

/** The keys of all items with sealed content or SSH keys. */
function secretsIn({ table }: MemoryWorld): string[] {
  const holding = table.all().filter((item) => sealedForm.test(JSON.stringify(item)) || item.kind === "access");
  return holding.map(({ pk, sk }) => `${pk}|${sk}`);
}

function secretive(id: string, more: Partial<NewEnvironment> = {}): NewEnvironment {
  return { ...newEnvironment(id, { hours: 0.5, command: "sleep 9", env: { TOKEN: "s3cret" } }), receiver, ...more };
}

async function secretWorld(more: Partial<NewEnvironment> = {}) {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const alice = world.as("alice");
  await createEnvironment(alice, secretive("one", more));
  return { world, alice };
}

describe("10 days after its end no item of an environment holds anything sealed", () => {
  test("of an expired reservation with Jupyter, guests and a receiver", async () => {
    const { world, alice } = await secretWorld({ jupyter: true, guest: "octocat" });
    world.githubKeys.publish("octocat", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuest");
    await world.advance(5 * MINUTE);
    await requestJupyter(alice, "one", true, String);
    await addCollaborator(alice, "one", "hubot", String);
    await world.advance(MINUTE);
    const before = secretsIn(world);

    await world.advance(HOUR_AND_PASSES);
    const ended = await world.read("alice", "one");
    await world.advance(10 * DAY);

    expect(before.length).toBeGreaterThan(3);
    expect(ended).toMatchObject({ phase: "expired", spec: null, events: { receiver: { always: null, run: null } } });
    expect(secretsIn(world)).toEqual([]);
  });

  test("of an environment that was cancelled in the queue", async () => {
    const { world } = await secretWorld();
    const bob = world.as("bob");
    await createEnvironment(bob, secretive("waits"));
    await world.advance(5_000);
    await requestCancel(bob, "waits");

    await world.advance(MINUTE);
    const soon = secretsIn(world).filter((key) => key.includes(`${bob.actor.uid}#env#gpu-dev#spec`));
    await world.advance(10 * DAY + HOUR_AND_PASSES);

    expect(soon).toEqual([]);
    expect(secretsIn(world)).toEqual([]);
  });

  test("of an environment that was restarted with other secrets and deleted, with abandoned starts", async () => {
    const { world, alice } = await secretWorld({ policy: restartable });
    await world.advance(MINUTE);
    await requestStop(alice, "one");
    await world.advance(MINUTE);
    const { uid, ...stopped } = await world.read("alice", "one");
    for (const spec of [`${uid}-lost1`, `${uid}-lost2`]) {
      await writeSpec(alice, stopped, { uid, spec }, { image: "i", command: undefined, env: { TOKEN: "lost" } });
    }
    await requestStart(alice, "one", { env: { TOKEN: "other" } });
    await world.advance(MINUTE);
    await requestDelete(alice, "one");

    await world.advance(10 * DAY + HOUR_AND_PASSES);

    expect(await world.read("alice", "one")).toMatchObject({ phase: "deleted", spec: null });
    expect(secretsIn(world)).toEqual([]);
  });

  test("of an environment with a late receiver, whose events are kept until and after their delivery", async () => {
    const { world } = await secretWorld();
    world.fetch.answer(receiver, () => ({ status: 503, retryAfterMs: null }));
    await world.advance(HOUR_AND_PASSES);
    const undelivered = secretsIn(world);
    world.fetch.answer(receiver, () => ({ status: 200, retryAfterMs: null }));

    await world.advance(10 * DAY);

    expect(undelivered.length).toBeGreaterThan(0);
    expect(undelivered.every((key) => key.includes("#delivery|"))).toBe(true);
    expect(secretsIn(world)).toEqual([]);
  });
});

test("a stopped environment keeps its specification, and another one with its id is not touched", async () => {
  const { world, alice } = await secretWorld({ policy: restartable });
  await createEnvironment(world.as("bob"), secretive("one", { policy: restartable }));
  await world.advance(MINUTE);
  await requestStop(alice, "one");
  await world.advance(DAY);
  const stopped = await world.read("alice", "one");
  const kept = await world.table.get(specKey(stopped, stopped.spec ?? ""));
  await requestDelete(alice, "one");
  await world.advance(MINUTE);
  await createEnvironment(alice, secretive("one", { policy: restartable }));

  await world.advance(DAY);

  const next = await world.read("alice", "one");
  expect(kept).toBeDefined();
  expect(next.uid).not.toBe(stopped.uid);
  expect(await world.table.get(specKey(next, next.spec ?? ""))).toBeDefined();
  expect(await world.table.get(specKey(stopped, stopped.spec ?? ""))).toBeUndefined();
});

test("a removal with a lost write is repeated", async () => {
  const { world, alice } = await secretWorld();
  await world.advance(MINUTE);
  await requestCancel(alice, "one");
  let lost = 0;
  const put: Table["put"] = (item, options) => {
    if ((item as { phase?: string }).phase === "cancelled" && lost++ < 2) throw new Error("the table is away");
    return world.table.put(item, options);
  };
  const flaky = { ...world.ctx, table: { ...world.table, put } };
  const recordKey = keyText(await world.read("alice", "one"));

  for (let passes = 0; passes < 12; passes++) {
    world.clock.advance(15_000);
    await reconcile(flaky, { look: recordKey }).catch(() => undefined);
  }
  await world.advance(15 * MINUTE);

  expect(lost).toBeGreaterThan(1);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", spec: null });
  expect(secretsIn(world).filter((key) => !key.includes("#delivery|"))).toEqual([]);
});
