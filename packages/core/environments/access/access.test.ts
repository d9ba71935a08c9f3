import { expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { Item } from "../../ports/table.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText } from "../../store/keys.ts";
import { asSealed } from "../../store/sealed.ts";
import { openJupyter } from "../record/changes/access.ts";
import { reservation } from "../record/policy.ts";
import { addCollaborator, requestCancel, requestJupyter, requestKey } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestStart } from "../verbs/start.ts";
import { requestStop } from "../verbs/stop.ts";
import { KEY_REFUSED } from "./ssh-keys.ts";

const MINUTE = 60_000;
const formatWord = ({ phase }: { readonly phase: string }) => phase;
const keys = { octocat: keyLine("a"), hubot: keyLine("b") };

function keyLine(letter: string): string {
  const name = Buffer.from("ssh-ed25519");
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.alloc(36, letter)]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
}

async function activeWorld(options: Parameters<typeof memoryWorld>[0] = {}, input: object = {}) {
  const world = await memoryWorld(options);
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), ...input });
  await world.deliver();
  const alice = world.as("alice");
  return {
    ...world,
    uid,
    guest: (name: string) => addCollaborator(alice, "one", name, formatWord),
    key: (line: string) => requestKey(alice, "one", line, formatWord),
    jupyter: (wanted: boolean) => requestJupyter(alice, "one", wanted, formatWord),
    applied: () => world.compute.access(uid, 1),
    one: () => world.read("alice", "one"),
  };
}

test("a user's keys are fetched and sent to the run before the request is done", async () => {
  const world = await activeWorld({}, { login: "gpu-dev-1234abcd" });
  world.githubKeys.publish("octocat", `${keys.octocat} octo@cat\nssh-dss AAAA\n`);

  const action = await world.guest("octocat");
  const before = await world.one();
  await world.deliver();

  expect(action).toMatchObject({ id: 2, kind: "add_user", status: "requested" });
  expect(before.requests.list).toMatchObject([{ kind: "add_user", subject: "octocat", status: "requested" }]);
  expect(world.applied()).toEqual({ revision: 1, login: "gpu-dev-1234abcd", keys: [keys.octocat], jupyter: null });
  expect((await world.one()).requests.list).toMatchObject([{ status: "done", reason: null }]);
});

test("a second user is added to the first, and a repeated user is fetched again", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  world.githubKeys.publish("hubot", keys.hubot);
  await world.guest("octocat");
  await world.guest("hubot");
  await world.deliver();
  expect(world.applied()?.keys).toEqual([keys.octocat, keys.hubot]);

  world.githubKeys.publish("octocat", `${keyLine("c")}\n`);
  await world.guest("octocat");
  await world.deliver();

  expect(world.applied()?.keys).toEqual([keys.hubot, keyLine("c")]);
  expect((await world.one()).requests.list.map(({ status }) => status)).toEqual(["done", "done", "done"]);
});

test("keys removed at GitHub do not come back with a late worker", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  const { pk, sk } = await world.guest("octocat").then(world.one);
  let isFirst = true;
  const keysOf: typeof world.githubKeys.fetchKeys = async (user) => {
    const answer = await world.githubKeys.fetchKeys(user);
    if (isFirst) {
      isFirst = false;
      world.githubKeys.publish("octocat", keyLine("c"));
      await world.guest("octocat");
      await world.deliver();
    }
    return answer;
  };

  await reconcile({ ...world.ctx, githubKeys: { fetchKeys: keysOf } }, { look: keyText({ pk, sk }) });
  await world.key(keyLine("d"));
  await world.deliver();

  expect(world.applied()?.keys).toEqual([keyLine("c"), keyLine("d")]);
});

test("a run is told that Jupyter is off after one question at most to a GitHub that does not answer", async () => {
  const world = await activeWorld();
  await world.jupyter(true);
  await world.deliver();
  const keysOf = async () => {
    world.clock.advance(5_000);
    throw new Error("no answer in 5 s");
  };
  Object.assign(world.githubKeys, { fetchKeys: keysOf });
  const recordKey = keyText(await world.one());
  for (const name of ["octocat", "hubot", "third"]) await world.guest(name);
  await world.jupyter(false);

  for (let passes = 0; passes < 3; passes++) await reconcile(world.ctx, { look: recordKey, hint: true });

  expect(world.applied()).toMatchObject({ jupyter: null });
  const { requests, access } = await world.one();
  expect(requests.list.find(({ kind }) => kind === "disable_jupyter")).toMatchObject({ status: "done" });
  expect(access.guests.map(({ tries }) => tries)).toEqual([1, 0, 0]);
  // The pause before the next request begins with the end of this one.
  expect(access.guests[0]?.nextAt).toBe(world.clock.now() + 2_000);
});

test("keys requested at the same moment are all admitted", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  const lines = ["c", "d", "e"].map(keyLine);

  await Promise.all([world.guest("octocat"), ...lines.map((line) => world.key(line))]);
  await world.deliver();

  expect(new Set(world.applied()?.keys)).toEqual(new Set([keys.octocat, ...lines]));
});

test("a key whose request is refused is not kept", async () => {
  const world = await activeWorld();
  for (let n = 0; n < 20; n++) await world.key(keyLine("c"));

  await expect(world.key(keyLine("d"))).rejects.toThrow("Too many open requests for job one");

  expect(JSON.stringify(world.table.all())).toContain(keyLine("c"));
  expect(JSON.stringify(world.table.all())).not.toContain(keyLine("d"));
});

test("a first user's keys keep unknown fields", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  world.githubKeys.publish("hubot", keys.hubot);
  await world.guest("octocat");
  await world.deliver();
  const item = world.table.all().find(({ kind }) => kind === "access");
  if (!item) throw new Error("No keys are kept");
  await world.table.put({ ...item, added: "by a newer version" } as Item);

  await world.guest("hubot");
  await world.deliver();

  expect(await world.table.get(item)).toMatchObject({
    guests: { octocat: [keys.octocat], hubot: [keys.hubot] },
    added: "by a newer version",
  });
});

test("an unknown user, or one without a usable key, fails the request with that reason", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("empty", "");
  world.githubKeys.publish("old", `ssh-dss AAAA\ncommand="sh" ${keys.hubot}\n`);

  for (const name of ["nobody", "empty", "old"]) await world.guest(name);
  await world.deliver();

  const {
    requests: { list: actions },
    access,
    phase,
  } = await world.one();
  expect(actions.map(({ status, reason }) => [status, reason])).toEqual([
    ["failed", "GitHub user 'nobody' not found"],
    ["failed", "No SSH keys found for GitHub user 'empty'"],
    ["failed", "No SSH keys found for GitHub user 'old'"],
  ]);
  expect(phase).toBe("active");
  expect(access.guests).toEqual([]);
  expect(world.applied()).toBeUndefined();
});

test("a user stays admitted when a later request for the same user fails", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  world.githubKeys.publish("hubot", keys.hubot);
  await world.guest("octocat");
  await world.deliver();

  world.githubKeys.publish("octocat", "");
  await world.guest("octocat");
  await world.guest("hubot");
  await world.deliver();

  expect(world.applied()?.keys.toSorted()).toEqual([keys.octocat, keys.hubot].toSorted());
});

test("names of object properties are ordinary user names", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  world.githubKeys.publish("constructor", new Error("down"));

  await world.guest("constructor");
  await world.guest("octocat");
  await world.deliver();

  expect(world.applied()?.keys).toEqual([keys.octocat]);
});

test("GitHub is retried five times, and a missing answer delays no end", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", new Error("ETIMEDOUT"));
  await world.guest("octocat");

  await world.advance(60_000);

  const input = world.githubKeys.asked();
  const {
    requests: { list: actions },
    attempts,
  } = await world.one();
  expect(input).toBe(5);
  expect(attempts).toBe(0);
  expect(actions).toMatchObject([{ status: "failed", reason: "GitHub did not answer the request for SSH keys" }]);
  await world.advance(3_600_000);
  expect((await world.one()).phase).toBe("expired");
});

test("GitHub is called again soon, and the user is admitted when it answers", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", new Error("ETIMEDOUT"));
  await world.guest("octocat");
  await world.deliver();
  world.githubKeys.publish("octocat", keys.octocat);

  await world.advance(4_000);

  expect((await world.one()).requests.list).toMatchObject([{ status: "done" }]);
});

test("a run without an answer fails the request with the reason, delays nothing else, and gets its access later", async () => {
  const world = await activeWorld({}, { command: "work" });
  world.githubKeys.publish("octocat", keys.octocat);
  let input = 0;
  const { setAccess } = world.compute;
  world.compute.setAccess = () => Promise.reject(new Error(`refused ${++input}`));
  await world.guest("octocat");

  for (let minute = 1; minute <= 56; minute++) {
    world.compute.print(world.uid, 1, `line ${minute}\n`);
    await world.advance(MINUTE);
  }
  const late = await world.one();
  world.compute.setAccess = setAccess;
  await world.guest("octocat");
  await world.advance(1_000);

  const reason = "SSH keys and Jupyter could not be set up yet; retrying every 5 minutes";
  expect(late).toMatchObject({ times: { warnedMinutes: 5 }, attempts: 0, fault: null });
  expect(late.requests.list).toMatchObject([{ status: "failed", reason }]);
  expect(input).toBeLessThan(20);
  expect(world.blobs.names()).toHaveLength(1);
  expect((await world.one()).requests.list).toMatchObject([{ status: "failed" }, { status: "done" }]);
  expect(world.applied()?.keys).toEqual([keys.octocat]);
});

test("an abandoned call that takes effect late undoes no newer access", async () => {
  const world = await activeWorld();
  const { setAccess } = world.compute;
  let late: () => Promise<void> = () => Promise.reject(new Error("nothing was told"));
  world.compute.setAccess = async (...input) => {
    late = () => setAccess(...input);
    throw new Error("no answer in 5 s");
  };
  await world.jupyter(true);
  await world.deliver();
  world.compute.setAccess = setAccess;
  await world.jupyter(false);
  await world.advance(1_000);

  await late();

  expect((await world.one()).requests.list).toMatchObject([{ status: "failed" }, { status: "done" }]);
  expect(world.applied()).toMatchObject({ jupyter: null });
});

test("unreadable keys delay no warning, and delay a request only for a while", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  await world.guest("octocat");
  await world.deliver();
  const item = world.table.all().find(({ kind }) => kind === "access");
  if (!item) throw new Error("No keys are kept");
  await world.table.put({ ...item, guests: null } as Item);

  await world.guest("octocat");
  await world.advance(56 * MINUTE);

  const { requests, times } = await world.one();
  expect(times.warnedMinutes).toBe(5);
  expect(requests.list).toMatchObject([{ status: "done" }, { status: "failed" }]);
});

test("a token that cannot be unsealed fails other requests with that reason, and Jupyter can be enabled again", async () => {
  const world = await activeWorld();
  await world.jupyter(true);
  await world.deliver();
  const { access } = await world.one();
  const token = asSealed("sealed.elsewhere");
  const head = world.table.all().find(({ kind }) => kind === "environment");
  await world.table.put({ ...head, access: { ...access, jupyter: { ...access.jupyter, token } } } as Item);

  await world.key(keys.octocat);
  await world.advance(MINUTE);
  await world.jupyter(false);
  await world.jupyter(true);
  await world.deliver();

  const { requests } = await world.one();
  expect(requests.list.map(({ kind, status, reason }) => [kind, status, reason])).toEqual([
    ["enable_jupyter", "done", null],
    ["add_user", "failed", "SSH keys or the Jupyter token cannot be decrypted: sealed with another key, or changed"],
    ["disable_jupyter", "failed", "Superseded by request 5"],
    ["enable_jupyter", "done", null],
  ]);
  expect(world.applied()?.keys).toEqual([keys.octocat]);
});

test("a submit's access that its run lacks is noted once in the timeline and applied later", async () => {
  const world = await memoryWorld();
  const back = takeAway(world.compute, "setAccess");
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), jupyter: true });
  await world.advance(25 * MINUTE);
  const { events } = await world.read("alice", "one");
  back();
  await world.advance(5 * MINUTE);

  expect(events.timeline.filter(({ reason }) => reason?.includes("could not be set up yet"))).toHaveLength(1);
  expect(world.compute.access(uid, 1)?.jupyter).not.toBeNull();
  expect((await world.read("alice", "one")).access).toMatchObject({ jupyter: { origin: expect.any(String) } });
});

test("Jupyter is on with its own token, shown only while it answers, and can be turned off", async () => {
  const world = await activeWorld();

  await world.jupyter(true);
  const early = await openJupyter(world.ctx, await world.one());
  await world.deliver();
  const on = await openJupyter(world.ctx, await world.one());
  const first = world.applied()?.jupyter?.token;
  await world.jupyter(false);
  const late = await openJupyter(world.ctx, await world.one());
  await world.deliver();

  expect([early, late]).toEqual([undefined, undefined]);
  expect(on).toEqual({ origin: "http://127.0.0.1:40123", token: first });
  expect(first?.length).toBeGreaterThanOrEqual(43);
  expect(world.applied()?.jupyter).toBeNull();
  expect((await world.one()).requests.list.map(({ kind, status }) => [kind, status])).toEqual([
    ["enable_jupyter", "done"],
    ["disable_jupyter", "done"],
  ]);
  await world.jupyter(true);
  await world.deliver();
  expect(world.applied()?.jupyter?.token).not.toBe(first);
});

test("no record holds the token in clear", async () => {
  const world = await activeWorld();
  await world.jupyter(true);
  await world.deliver();

  const token = world.applied()?.jupyter?.token ?? "";
  const record = JSON.stringify(await world.one());

  expect(token).toMatch(/^[\w-]{43}$/);
  expect(record).not.toContain(token);
});

test("a request for the current state is done at once and keeps the token", async () => {
  const world = await activeWorld();
  await world.jupyter(true);
  await world.deliver();
  const { access } = await world.one();

  const again = await world.jupyter(true);

  expect(again).toMatchObject({ kind: "enable_jupyter", status: "done" });
  expect((await world.one()).access.jupyter).toEqual(access.jupyter);
});

test("an environment without Jupyter shows why, and accepts another request", async () => {
  const reason = "Jupyter is not on the PATH of this environment";
  const world = await activeWorld({ access: { jupyterFault: reason } });

  await world.jupyter(true);
  await world.deliver();
  await world.jupyter(true);
  await world.deliver();

  const {
    requests: { list: actions },
    access,
  } = await world.one();
  expect(actions.map(({ status, reason: why }) => [status, why])).toEqual([
    ["failed", reason],
    ["failed", reason],
  ]);
  expect(access.jupyter).toBeNull();
  expect(world.applied()?.jupyter).toBeNull();
});

test("the last of several requests applies, and the earlier ones have failed", async () => {
  const world = await activeWorld();

  await world.jupyter(true);
  await world.jupyter(false);
  await world.jupyter(true);
  await world.deliver();

  const {
    requests: { list: actions },
    access,
  } = await world.one();
  expect(access.jupyter?.origin).toBe("http://127.0.0.1:40123");
  expect(actions.map(({ status }) => status)).toEqual(["failed", "failed", "done"]);
});

test("a submit's access works once the environment is active, without a request", async () => {
  const world = await memoryWorld();
  world.githubKeys.publish("octocat", keys.octocat);
  const wanted = { ...newEnvironment("one"), guest: "octocat", jupyter: true };

  const { uid } = await createEnvironment(world.as("alice"), wanted);
  await world.deliver();

  const {
    requests: { list: actions },
    access,
  } = await world.read("alice", "one");
  expect(world.compute.access(uid, 1)).toMatchObject({ login: "one", keys: [keys.octocat] });
  expect(access.jupyter?.origin).toBe("http://127.0.0.1:40123");
  expect(actions).toEqual([]);
});

test("impossible access in a submit is noted in the timeline, and the environment continues", async () => {
  const world = await activeWorld(
    { access: { jupyterFault: "Jupyter is missing" } },
    { guest: "nobody", jupyter: true },
  );

  const {
    events: { timeline },
    phase,
  } = await world.one();

  const reasons = timeline.map(({ reason }) => reason);
  expect(phase).toBe("active");
  expect(reasons).toContain("GitHub user 'nobody' not found");
  expect(reasons).toContain("Jupyter is missing");
});

test("requests are for active environments only", async () => {
  const world = await activeWorld();
  await requestCancel(world.as("alice"), "one");

  await expect(world.jupyter(true)).rejects.toThrow("Cannot enable Jupyter for job one in status active");
  await expect(world.jupyter(false)).rejects.toThrow("Cannot disable Jupyter for job one in status active");
  await expect(world.guest("octocat")).rejects.toThrow("Cannot add a user to job one in status active");
});

test("the end of an environment closes late requests", async () => {
  const world = await activeWorld();
  world.githubKeys.publish("octocat", new Error("down"));
  await world.guest("octocat");
  await requestCancel(world.as("alice"), "one");

  await world.deliver();

  const {
    requests: { list: actions },
  } = await world.one();
  expect(actions).toMatchObject([
    { kind: "add_user", status: "failed", reason: "It ended before this was done" },
    { kind: "cancel", status: "done" },
  ]);
});

test("fifty users are admitted and no more", async () => {
  const world = await activeWorld();
  for (let n = 0; n < 50; n += 1) {
    world.githubKeys.publish(`user${n}`, keyLine(String.fromCharCode(33 + n)));
    await world.guest(`user${n}`);
    await world.deliver();
  }

  await expect(world.guest("another")).rejects.toThrow("Too many users for job one");

  expect(world.applied()?.keys).toHaveLength(50);
});

const restartable = { ...reservation, time: "none", restarts: true, forgetsSpec: true } as const;

test("keys of the submit work together with those of guests, and no record has them in clear", async () => {
  const world = await activeWorld({}, { login: "ws-one", sshKeys: [`${keys.octocat} me@laptop\n`] });
  const alone = world.applied();
  world.githubKeys.publish("hubot", keys.hubot);

  await world.guest("hubot");
  await world.deliver();

  expect(alone).toEqual({ revision: 1, login: "ws-one", keys: [keys.octocat], jupyter: null });
  expect(world.applied()?.keys).toEqual([keys.octocat, keys.hubot]);
  expect(JSON.stringify(world.table.all())).not.toContain(keys.octocat);
});

test("a run that refuses its keys is active after five tries with a note, and gets them later", async () => {
  const world = await memoryWorld({ signals: false });
  const back = takeAway(world.compute, "setAccess");
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), sshKeys: [keys.octocat] });
  await world.advance(2 * MINUTE);
  const unapplied = await world.read("alice", "one");
  back();

  await world.advance(5 * MINUTE);

  expect(unapplied.phase).toBe("active");
  expect(unapplied.events.timeline.filter(({ reason }) => reason?.includes("could not be set up yet"))).toHaveLength(1);
  expect(world.compute.access(uid, 1)?.keys).toEqual([keys.octocat]);
});

test("a run does not become active before it has its keys because of a hint", async () => {
  const world = await memoryWorld();
  const back = takeAway(world.compute, "setAccess");
  const input = { ...newEnvironment("one"), sshKeys: [keys.octocat] };
  const { uid, pk, sk } = await createEnvironment(world.as("alice"), input);
  await world.deliver();
  const refused = await world.read("alice", "one");

  await world.queue.send("work", { look: keyText({ pk, sk }), hint: true });
  await world.deliver();
  const hinted = await world.read("alice", "one");
  back();
  await world.advance(2_000);

  expect(refused.access.refused).toMatchObject({ tries: 1 });
  expect([refused.phase, hinted.phase]).toEqual(["preparing", "preparing"]);
  expect((await world.read("alice", "one")).phase).toBe("active");
  expect(world.compute.access(uid, 1)?.keys).toEqual([keys.octocat]);
});

test("an invalid key is dropped and noted in the timeline, which does not repeat it", async () => {
  const world = await activeWorld({}, { sshKeys: [`command="sh" ${keys.octocat}`, keys.hubot] });

  const {
    events: { timeline },
  } = await world.one();

  expect(world.applied()?.keys).toEqual([keys.hubot]);
  expect(timeline[0]).toMatchObject({ phase: "queued", reason: KEY_REFUSED });
  expect(JSON.stringify(timeline)).not.toContain("command");
});

test("a stop removes the keys of the submit, and a start sets its own or none", async () => {
  const world = await activeWorld({}, { policy: restartable, sshKeys: [keys.octocat] });
  const alice = world.as("alice");
  const { uid } = await world.one();
  const again = async (changes: object) => {
    await requestStop(alice, "one");
    await world.advance(5_000);
    const left = JSON.stringify(world.table.all().filter(({ kind }) => kind === "spec" || kind === "access"));
    await requestStart(alice, "one", { image: "x", env: {}, ...changes });
    await world.advance(5_000);
    return { left, applied: world.compute.access(uid, (await world.one()).run.n)?.keys };
  };

  const applied = [
    await again({ sshKeys: [keys.hubot] }),
    await again({}),
    await again({ sshKeys: [] }),
    await again({ sshKeys: ["none"] }),
    await again({ sshKeys: [keys.octocat] }),
  ];

  expect(applied.map(({ left }) => left)).toEqual(applied.map(() => "[]"));
  expect(applied.map(({ applied: keysOfRun = [] }) => keysOfRun)).toEqual([[keys.hubot], [], [], [], [keys.octocat]]);
  expect((await world.one()).events.timeline.filter(({ reason }) => reason === KEY_REFUSED)).toHaveLength(1);
});

test("a start without keys keeps the stored ones", async () => {
  const world = await activeWorld({}, { policy: { ...restartable, forgetsSpec: false }, sshKeys: [keys.octocat] });
  const alice = world.as("alice");
  const { uid } = await world.one();
  await requestStop(alice, "one");
  await world.advance(5_000);

  await requestStart(alice, "one", { image: "another" });
  await world.advance(5_000);

  expect(world.compute.access(uid, 2)?.keys).toEqual([keys.octocat]);
});

test("a start may add the first keys, or remove them", async () => {
  const world = await activeWorld({}, { policy: { ...restartable, forgetsSpec: false } });
  const alice = world.as("alice");
  const { uid } = await world.one();
  const again = async (sshKeys: string[]) => {
    await requestStop(alice, "one");
    await world.advance(5_000);
    await requestStart(alice, "one", { sshKeys });
    await world.advance(5_000);
    const {
      run: { n: run },
      access,
    } = await world.one();
    return [world.compute.access(uid, run)?.keys, access.keyed];
  };

  expect([world.applied(), await again([keys.octocat]), await again([])]).toEqual([
    ...[undefined, [[keys.octocat], true], [[], false]],
  ]);
});
