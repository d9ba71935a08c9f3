import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { type ClusterFixture, fixtureRun, openClusterFixture } from "../fixtures/cluster-fixture.ts";

let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
});

afterEach(() => fixture.clear());

afterAll(() => fixture.stop());

/** Applies a run and waits until its Job counts the pod as ready; after that neither changes. */
async function rested(run: Run = fixtureRun()): Promise<Run> {
  await fixture.compute.apply(run);
  const job = `/apis/batch/v1/namespaces/berth-environments/jobs/${run.uid}-r1`;
  await fixture.eventually(
    () => fixture.client.get<{ readonly status?: { readonly ready?: number } }>(job),
    ({ status }) => status?.ready === 1,
  );
  return run;
}

async function removed({ uid }: Run): Promise<void> {
  await fixture.compute.remove(uid, 1, { graceSeconds: 0, force: false });
  await fixture.eventually(
    () => fixture.compute.observe(uid, 1),
    (seen) => seen === undefined,
  );
}

/** Follows until all of these runs and a position after them have arrived. */
async function following(from: string | undefined, wanted: readonly Run[], meanwhile = async () => {}) {
  const ending = new AbortController();
  const received: string[] = [];
  let upTo: string | undefined;
  const isAll = () => wanted.every(({ uid }) => received.includes(uid));
  const work = (async () => {
    for await (const change of fixture.compute.changes(ending.signal, from)) {
      if ("uid" in change) received.push(change.uid);
      else if ("upTo" in change) upTo = isAll() ? change.upTo : undefined;
      if (upTo !== undefined) return;
    }
  })();
  await meanwhile();
  await work;
  ending.abort();
  return { received: [...new Set(received)].sort(), upTo };
}

const listUids = (...runs: readonly Run[]) => runs.map(({ uid }) => uid).sort();

it("hands the watch over: changes in between are emitted once, and nothing else", async () => {
  const [kept, gone] = await Promise.all([rested(), rested()]);
  const first = await following(undefined, [kept, gone]);

  await removed(gone);
  const made = await rested();
  const next = await following(first.upTo, [gone, made]);
  const later = fixtureRun();
  const last = await following(next.upTo, [later], () => fixture.compute.apply(later));

  expect(first.received).toEqual(listUids(kept, gone));
  expect(next.received).toEqual(listUids(gone, made));
  // A pod's end may arrive after its Job's, at the next follower.
  expect(last.received).toContain(later.uid);
  expect(last.received).not.toContain(kept.uid);
});

it("continues from a position before a restart of the API server", async () => {
  const kept = await rested();
  const { upTo } = await following(undefined, [kept]);
  const made = await rested();

  await fixture.cluster.controlPlane.restart("apiserver");
  const next = await following(upTo, [made]);

  expect(next.received).toContain(made.uid);
});

it.each([
  // A server that has just started has no history.
  ["the server has forgotten", "1.1"],
  ["is in the future, as after a restore of the store", "999999999.999999999"],
  ["never existed", "nowhere"],
])("emits every living run after a start from a position that %s", async (_, from) => {
  const [first, second] = await Promise.all([rested(), rested()]);

  const { received } = await following(from, [first, second]);

  expect(received).toEqual(listUids(first, second));
});
