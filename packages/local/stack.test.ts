import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createRoute } from "@hono/zod-openapi";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { newKeyText } from "#aws/kms/key-file-sealer.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { Run } from "#core/ports/compute.ts";
import { environmentKey, keyText } from "#core/store/keys.ts";
import { endpoint as health } from "#functions/shared/health.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonReply } from "#http/route.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { fixtureCatalog } from "./fixture-catalog.ts";
import { shellEnvironment } from "./shell-environment.ts";
import { type Stack, startStack } from "./stack.ts";

let home: string;
let stacks: Stack[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-stack-"));
  stacks = [];
});

afterEach(async () => {
  await Promise.all(stacks.map((stack) => stack.stop()));
  rmSync(home, { recursive: true });
});

async function start(environment: Record<string, string> = {}, catalog = fixtureCatalog()): Promise<Stack> {
  const settings = { BERTH_HOME: home, PORT: "0", ...environment };
  const stack = await startStack({ environment: settings, log: silentLog(), catalog });
  stacks.push(stack);
  return stack;
}

async function stop(stack: Stack): Promise<void> {
  stacks = stacks.filter((each) => each !== stack);
  await stack.stop();
}

async function shell(fresh = false): Promise<Record<string, string>> {
  const lines = (await shellEnvironment({ home, fresh })).trimEnd().split("\n");
  return Object.fromEntries(lines.map((line) => /^export ([A-Z_]+)='([^']*)'$/.exec(line)?.slice(1) ?? [line, "?"]));
}

describe("the local stack", () => {
  it("serves the catalog, with its consumers and schedules running", async () => {
    const catalog = fixtureCatalog();
    const stack = await start({ SWEEP_SECONDS: "1" }, catalog);
    const { API_KEY } = await shell();

    const response = await fetch(`${stack.url}/v1/jobs`, { headers: { authorization: `Bearer ${API_KEY}` } });

    expect(await response.json()).toEqual({ seen: true });
    await expect.poll(() => catalog.ticks()).toBeGreaterThanOrEqual(2);
  });

  it("reports that it is unhealthy and why while it cannot store records, and is healthy again afterwards", async () => {
    const { url } = await start(
      {},
      { ...fixtureCatalog(), endpoints: [{ name: "health", file: "health.ts", declaration: health }] },
    );
    const ask = async () => (await fetch(`${url}/health`)).json() as Promise<Readonly<Record<string, unknown>>>;
    const otherSync = new DatabaseSync(join(home, "records.db"));
    otherSync.exec("BEGIN IMMEDIATE");

    const held = await ask();
    otherSync.close();

    expect(held).toMatchObject({
      status: "unhealthy",
      reason: "Another program writes to the records of this stack: nothing can be stored until it is done",
    });
    await expect.poll(ask, { interval: 100 }).toMatchObject({ status: "healthy" });
  });

  it("listens only on the loopback address", async () => {
    const { port } = new URL((await start()).url);
    const addresses = Object.values(networkInterfaces()).flatMap((each = []) => each);
    const outside = addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.2";

    await expect(fetch(`http://${outside}:${port}/`)).rejects.toThrow("fetch failed");
  });

  it("forgets inherited AWS settings", async () => {
    process.env.AWS_ACCESS_KEY_ID = "AKIAREALREALREALREAL";
    process.env.AWS_ENDPOINT_URL_STS = "http://127.0.0.1:1";

    await start();

    const names = Object.keys(process.env).filter((name) => name.startsWith("AWS_"));
    expect(names.toSorted()).toEqual(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"]);
    expect(process.env.AWS_CONFIG_FILE).toBe("/dev/null");
  });

  it("admits its own account and names its own STS by default", async () => {
    const first = await start();
    const { AWS_ENDPOINT_URL_STS } = await shell();
    expect(first.runtime.settings).toMatchObject({
      allowedAccounts: ["000000000000"],
      stsOrigins: [AWS_ENDPOINT_URL_STS],
    });
    await stop(first);

    const second = await start({ ALLOWED_ACCOUNTS: "111111111111" });
    expect(second.runtime.settings.allowedAccounts).toEqual(["111111111111"]);
  });

  it("reports that its home or its port is taken, and leaves the first stack alone", async () => {
    const { url } = await start();
    const { port } = new URL(url);
    const elsewhere = { BERTH_HOME: join(home, "other"), PORT: port };

    await expect(start()).rejects.toThrow(`Another local stack is using ${home}. It listens on ${url}`);
    await expect(start(elsewhere)).rejects.toThrow(`Port ${port} is in use`);

    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    const afterAll = await start({ ...elsewhere, PORT: "0" });
    expect(afterAll.home).toBe(join(home, "other"));
  });

  it("serves novita and dev8 without a key, as the developer, only with BERTH_OPEN", async () => {
    const reply = z.object({ user: z.string() });
    const route = createRoute({ method: "get", path: "/api/me", responses: { 200: jsonReply(reply) } });
    const declaration = novita.endpoint(route, { uses: [] }, async ({ ctx }) => ({ user: ctx.actor.username }));
    const catalog = { ...fixtureCatalog(), endpoints: [{ name: "me", file: "me.ts", declaration }] };
    const open = await start({ BERTH_OPEN: "1" }, catalog);

    const answers = [
      await fetch(`${open.url}/api/me`),
      await fetch(`${open.url}/api/me`, { headers: { origin: "https://evil.example" } }),
      await fetch(`${open.url}/k/a-key-that-nobody-has/api/me`),
    ];
    await stop(open);
    const closed = await fetch(`${(await start({}, catalog)).url}/api/me`);

    expect(answers.map(({ status }) => status)).toEqual([200, 401, 401]);
    expect(await answers[0]?.json()).toEqual({ user: "developer" });
    expect(closed.status).toBe(401);
  });

  it("refuses invalid settings before it opens its home or a port", async () => {
    await expect(start({ PORT: "99999" })).rejects.toThrow("PORT must be");
    await expect(start({ LOCAL_NODES: "toaster=1" })).rejects.toThrow("LOCAL_NODES must be");
  });

  it("keeps records, identities and the address of STS over a restart", async () => {
    const first = await start();
    const before = await shell();
    await first.runtime.ports.table.put({ pk: "a", sk: "b", writers: ["w4"] });
    await stop(first);

    const second = await start();
    const after = await shell();

    expect(await second.runtime.ports.table.get({ pk: "a", sk: "b" })).toMatchObject({ writers: ["w4"] });
    expect({ ...after, API_URL: "", API_KEY: "" }).toEqual({ ...before, API_URL: "", API_KEY: "" });
  });
});

const owner = "b".repeat(32);
const shares = [{ node: "g4dn-2xlarge-1", units: 1 }];

function getRun(uid: string): Run {
  const key = keyText(environmentKey(owner, "gpu-dev", `id-${uid}`));
  const words = { name: "n", pool: "t4-small", instanceType: "g4dn.2xlarge", image: "i" };
  return {
    uid,
    run: 1,
    key,
    ...words,
    command: "sleep 600",
    env: {},
    shares,
    gpusPerMachine: 1,
    mounts: [],
    ports: [],
    resources: null,
    until: Date.now() + 600_000,
  };
}

/** Returns the record of an active environment, with or without capacity. */
async function getRecord(uid: string, holds: "holds" | "gave back") {
  const { as } = await memoryWorld();
  const made = await createEnvironment(as("alice"), newEnvironment("one", { pool: "t4-small", gpus: 1 }));
  const grant = { id: "granted", shares, at: 1 };
  const active: Environment = {
    ...made,
    ...environmentKey(owner, "gpu-dev", `id-${uid}`),
    owner,
    uid,
    waitPool: undefined,
    waitOrder: undefined,
    phase: "active",
    run: { ...made.run, grant, preparingAt: 1, applyingAt: 1, appliedAt: 1, startedAt: 1 },
    times: { ...made.times, endsAt: Date.now() + 3_600_000 },
    dueAt: Date.now() + 3_600_000,
  };
  return holds === "holds" ? active : { ...active, phase: "stopping", run: { ...active.run, grant: null } };
}

describe("environments on the local stack", () => {
  it("end with it, and show that as the reason", async () => {
    const uid = "a".repeat(32);
    const stack = await start();
    const { compute, table } = stack.runtime.ports;
    await table.put(await getRecord(uid, "holds"));
    await compute.apply(getRun(uid));
    await expect.poll(async () => (await compute.observe(uid, 1))?.state).toBe("ready");

    await stop(stack);

    const next = await start();
    expect(await next.runtime.ports.compute.observe(uid, 1)).toMatchObject({
      state: "ended",
      reason: "The local stack was stopped",
    });
  });

  it("survive a crash if their record holds capacity for them, and end otherwise", async () => {
    const [kept, replaced, unknown] = ["c", "d", "e"].map((digit) => digit.repeat(32)) as [string, string, string];
    const stack = await start();
    const { table } = stack.runtime.ports;
    await table.put(await getRecord(kept, "holds"));
    await table.put(await getRecord(replaced, "gave back"));
    for (const uid of [kept, replaced, unknown]) await stack.runtime.ports.compute.apply(getRun(uid));
    await crash(stack);

    const next = await start();
    const { compute } = next.runtime.ports;

    expect((await compute.observe(kept, 1))?.state).toBe("ready");
    expect(await compute.observe(replaced, 1)).toBeUndefined();
    expect(await compute.observe(unknown, 1)).toBeUndefined();
  });
});

/** Ends the stack like SIGKILL: only its runs are left, without a signal. */
async function crash(stack: Stack): Promise<void> {
  const { compute } = stack.runtime.ports;
  Object.assign(compute, { shutdown: async () => undefined });
  await stop(stack);
}

describe("a home with a missing part", () => {
  it.each([
    ["gone", () => rmSync(join(home, "sealer.key"))],
    ["a different one", () => writeFileSync(join(home, "sealer.key"), newKeyText())],
  ])(
    "is refused if the key that sealed its records is %s, until the operator gives the records up",
    async (_, lose) => {
      await stop(await start());
      lose();

      const said = String(await start().catch((error) => error));
      const database = new DatabaseSync(join(home, "records.db"));
      database.exec(/"(DELETE FROM [^"]+)"/.exec(said)?.[1] ?? "");
      database.close();

      expect(said).toContain(`${join(home, "sealer.key")} is`);
      expect(said).toContain(`the records in ${join(home, "records.db")} were sealed with`);
      expect((await start()).url).toContain("http");
    },
  );
});

describe("a home without its records", () => {
  const files = ["stack.json", "sealer.key", "mark"];
  const directories = ["volumes", "snapshots", "runs", "blobs"];
  const lose = () => {
    for (const suffix of ["", "-wal", "-shm", "-synced"]) rmSync(join(home, `records.db${suffix}`), { force: true });
  };

  it.each([...files, ...directories])(
    "is refused with advice if it contains %s of an earlier stack, and keeps it",
    async (name) => {
      await stop(await start());
      lose();
      for (const otherName of [...files, ...directories])
        if (otherName !== name) rmSync(join(home, otherName), { recursive: true, force: true });
      if (directories.includes(name)) mkdirSync(join(home, name, "of-before"), { recursive: true });
      const before = readdirSync(home);

      const said = String(await start().catch((error) => error));

      expect(said).toContain(
        `The records in ${join(home, "records.db")} are missing, and ${join(home, name)} is of an earlier stack.`,
      );
      expect(said).toContain(
        `Put them back from a copy. To give up all environments, disks and keys, move ${home} away`,
      );
      expect(readdirSync(home)).toEqual(before);
    },
  );

  it("is used if no stack was ever ready in it", async () => {
    await stop(await start());
    lose();
    for (const name of [...files, ...directories]) rmSync(join(home, name), { recursive: true, force: true });
    mkdirSync(join(home, "volumes", "lost+found"), { recursive: true });

    expect((await start()).url).toContain("http");
  });

  it("is used again once its records are restored", async () => {
    await stop(await start());
    const copy = readFileSync(join(home, "records.db"));
    lose();
    await start().catch(() => undefined);

    writeFileSync(join(home, "records.db"), copy);

    expect((await start()).url).toContain("http");
  });
});

describe("the variables of a shell", () => {
  it("contain a working key and two identities", async () => {
    const { url } = await start();

    const lines = await shell();

    expect(Object.keys(lines)).toEqual([
      "API_URL",
      "API_KEY",
      "AWS_ACCESS_KEY_ID",
      "AWS_SECRET_ACCESS_KEY",
      "AWS_SESSION_TOKEN",
      "AWS_ENDPOINT_URL_STS",
      "BERTH_SECOND_AWS_ACCESS_KEY_ID",
      "BERTH_SECOND_AWS_SECRET_ACCESS_KEY",
      "BERTH_SECOND_AWS_SESSION_TOKEN",
    ]);
    expect(lines.API_URL).toBe(url);
    expect(lines.BERTH_SECOND_AWS_ACCESS_KEY_ID).not.toBe(lines.AWS_ACCESS_KEY_ID);
  });

  it("contain the same key again, and a new one on request", async () => {
    await start();
    const first = await shell();

    const again = await shell();
    const fresh = await shell(true);

    expect(again.API_KEY).toBe(first.API_KEY);
    expect(fresh.API_KEY).not.toBe(first.API_KEY);
    expect((await shell()).API_KEY).toBe(fresh.API_KEY);
  });

  it("contain a new key if the stored one expires within an hour", async () => {
    await start({ KEY_TTL_HOURS: "1" });
    const first = await shell();

    expect((await shell()).API_KEY).not.toBe(first.API_KEY);
  });

  it("contain a new key if the stack no longer knows the stored one", async () => {
    const { runtime } = await start();
    const { API_KEY = "" } = await shell();
    await runtime.ports.table.remove({ pk: `key#${runtime.ids.hash(API_KEY)}`, sk: "-" }, { ifWriter: "w1" });

    expect((await shell()).API_KEY).not.toBe(API_KEY);
  });

  it("cannot be printed if no stack runs", async () => {
    await expect(shellEnvironment({ home, fresh: false })).rejects.toThrow(`No local stack is running in ${home}`);
  });
});
