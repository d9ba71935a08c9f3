import { afterAll, beforeAll, expect, test } from "vitest";
import { CLUSTER_MISSING, type ClusterWorld, openClusterWorld, runningWorkspace } from "./cluster-world.ts";
import { shellDifferences } from "./differences.ts";
import { joined, recordTranscript, type Talk, talks } from "./shell-talks.ts";
import { LONG_MS } from "./stage.ts";

let world: ClusterWorld | undefined;
let made: Promise<string> | undefined;

beforeAll(async () => {
  if (CLUSTER_MISSING === undefined) world = await openClusterWorld();
}, LONG_MS);

afterAll(() => world?.stop(), LONG_MS);

function targetIn(open: ClusterWorld): Promise<string> {
  made ??= runningWorkspace(open).then(({ path }) => `${path}/shell?api_key=${open.key}`);
  return made;
}

/** Returns the frames of the local server and of the stage for the same talk. */
async function getBoth({ local, stage }: ClusterWorld, talk: Talk, at: string) {
  const atZips = await stage.connect({ method: "GET", target: at, headers: {} });
  return {
    atLocal: await recordTranscript(talk, await local.connect(at), async () => undefined),
    atZips: await recordTranscript(talk, atZips, stage.deliver),
  };
}

test.for(Object.entries(talks))("%s is answered like by the local server", async ([name, talk], { skip }) => {
  if (!world) return skip(CLUSTER_MISSING);

  const { atLocal, atZips } = await getBoth(world, talk, await targetIn(world));

  expect(atLocal[0]).toMatchObject({ type: "welcome" });
  if (name in shellDifferences) expect(atZips).not.toEqual(atLocal);
  else expect(atZips).toEqual(atLocal);
});

test("the frames of a long result contain the same result", async ({ skip }) => {
  if (!world) return skip(CLUSTER_MISSING);

  const { atLocal, atZips } = await getBoth(world, talks["a long result"] ?? [], await targetIn(world));

  expect(joined(atZips)).toEqual(joined(atLocal));
  expect(joined(atLocal)[1]).toMatchObject({ stdout: "y\n".repeat(200_000), returncode: 0 });
});

test("refused shells are answered like by the local server", async ({ skip }) => {
  if (!world) return skip(CLUSTER_MISSING);
  const open = world;
  const target = await targetIn(open);
  const unknown = "/v1/cloudrun/workspaces/ws-my-project-developer-1/shell";
  const targets = [target.replace(/\?.*/, ""), `${target}x`, `${unknown}?api_key=${open.key}`];

  const refused = await Promise.all(targets.map((at) => getBoth(open, [], at)));

  expect(refused.map(({ atZips }) => atZips)).toEqual(refused.map(({ atLocal }) => atLocal));
  expect(refused.map(({ atLocal }) => atLocal[0])).toEqual([401, 401, 404]);
});

test("each listed difference is tested here", () => {
  expect(Object.keys(shellDifferences).filter((name) => !(name in talks))).toEqual([]);
});
