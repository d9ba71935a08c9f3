import { describe, expect, test } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { newWorkspace } from "#tests/fixtures/catalog-requests.ts";
import { type WorkspaceWorld, workspaceId, workspaceWorld } from "#tests/worlds/workspace-world.ts";

const secrets = {
  githubToken: "ghp_hunter2-of-github",
  codeServerPassword: "hunter2-of-the-server",
  sshPublicKey: "ssh-rsa AAAAB3hunter2//of+ssh me@example.com",
  gitUserName: "Hunter Two",
  gitUserEmail: "hunter2@example.com",
  anthropicApiKey: "sk-ant-hunter2",
  openaiApiKey: "sk-hunter2-of-openai",
  geminiApiKey: "AIza-hunter2",
};
const variables = {
  GITHUB_TOKEN: secrets.githubToken,
  CODE_SERVER_PASSWORD: secrets.codeServerPassword,
  SSH_PUBLIC_KEY: secrets.sshPublicKey,
  GIT_USER_NAME: secrets.gitUserName,
  GIT_USER_EMAIL: secrets.gitUserEmail,
  ANTHROPIC_API_KEY: secrets.anthropicApiKey,
  OPENAI_API_KEY: secrets.openaiApiKey,
  GEMINI_API_KEY: secrets.geminiApiKey,
};
const path = "/api/v1/environments";

/** A world that records the input of containers, the messages of queues and the answers. */
async function watchedWorld(options: Parameters<typeof workspaceWorld>[0] = {}) {
  const noted: string[] = [];
  const world = await workspaceWorld({
    ...options,
    wrap: (ports) => ({
      ...ports,
      queue: {
        ...ports.queue,
        send: async (...input) => {
          noted.push(JSON.stringify(input));
          await ports.queue.send(...input);
        },
      },
    }),
  });
  const runs: Run[] = [];
  const apply = world.compute.apply;
  Object.assign(world.compute, {
    apply: async (run: Run) => {
      runs.push(run);
      await apply(run);
    },
  });
  const ask = async (...input: Parameters<typeof world.ask>) => {
    const answers = await world.ask(...input);
    noted.push(JSON.stringify(answers));
    return answers;
  };
  return { ...world, ask, runs, noted };
}

/** Which of them can be read in these texts, in clear or sealed as the tests' own sealer does. */
function found(texts: readonly string[]): string[] {
  const readable = texts.flatMap((text) => [
    text,
    ...Array.from(text.matchAll(/[\w-]{16,}/g), ([part]) => Buffer.from(part, "base64url").toString()),
  ]);
  const named = Object.entries(secrets);
  return named.flatMap(([name, secret]) => (readable.some((text) => text.includes(secret)) ? [name] : []));
}

const stored = ({ table }: WorkspaceWorld) => table.all().map((item) => JSON.stringify(item));
const sealedItems = ({ table }: WorkspaceWorld) => table.all().filter(({ kind }) => kind === "spec");
const all = Object.keys(secrets);

describe("the eight secrets", () => {
  test("reach the container, with its owner and region", async () => {
    const world = await watchedWorld();

    await world.create(secrets);

    expect(world.runs.map(({ env }) => env)).toEqual([
      { ...variables, WORKSPACE_ID: workspaceId, USER_ID: "user123", WORKSPACE_DIR: "/home/dev8/workspace" },
    ]);
  });

  test("appear in clear in no answer, log line, message or record", async () => {
    const world = await watchedWorld();
    const body = { ...newWorkspace(workspaceId), ...secrets };
    const wrong = { ...body, githubToken: [secrets.githubToken], codeServerPassword: secrets };
    await world.ask("POST", path, wrong);
    await world.ask("POST", path, JSON.stringify(body).slice(0, -1));
    await world.ask("POST", path, { ...secrets, workspaceId });
    await world.ask("POST", path, body);
    await world.ask("POST", path, body);
    await world.ask("GET", path);
    await world.ask("GET", `${path}/${workspaceId}`);
    await world.advance(60_000);
    const sealed = found(stored(world));
    await world.ask("POST", `${path}/stop`, body);
    await world.ask("POST", `${path}/start`, body);
    await world.ask("DELETE", path, { ...body, force: true });

    expect(sealed).toEqual(all);
    expect(found(stored(world).map((text) => text.replaceAll(/"sealed":"[^"]*"/g, "")))).toEqual([]);
    expect(world.noted.length).toBeGreaterThan(12);
    expect(found(world.noted)).toEqual([]);
    expect(found(world.log.lines.map((line) => JSON.stringify(line)))).toEqual([]);
  });

  test("are removed from every record at a stop, and a start sets its own", async () => {
    const world = await watchedWorld();
    await world.create(secrets);
    const before = found(stored(world));

    await world.stop();
    const after = [found(stored(world)), sealedItems(world)];
    await world.start({ githubToken: secrets.githubToken });

    expect(before).toEqual(all);
    expect(after).toEqual([[], []]);
    expect(found(stored(world))).toEqual(["githubToken"]);
    expect(world.runs.at(-1)?.env).toMatchObject({ GITHUB_TOKEN: secrets.githubToken });
    expect(world.runs.at(-1)?.env).not.toHaveProperty("OPENAI_API_KEY");
  });

  test("are removed at a stop of a workspace that never ran", async () => {
    const world = await watchedWorld({ nodes: [] });
    await world.create(secrets);

    await world.stop();

    expect([found(stored(world)), sealedItems(world)]).toEqual([[], []]);
  });

  test("are removed when the workspace is deleted, and when its creation fails", async () => {
    const world = await watchedWorld();
    await world.create(secrets);
    await world.remove({ force: true });
    const deleted = [found(stored(world)), sealedItems(world)];
    world.programAll({ kind: "imageFails", reason: "Image not found" });

    const { status } = await world.create(secrets);

    expect(deleted).toEqual([[], []]);
    expect([status, found(stored(world)), sealedItems(world)]).toEqual([500, [], []]);
  });

  test("of a start that lost against another are not kept", async () => {
    const world = await watchedWorld();
    await world.create(secrets);
    await world.stop();

    const answered = await Promise.all([world.start(secrets), world.start(secrets)]);
    const whileRunning = sealedItems(world).length;
    await world.stop();

    expect(answered.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    expect(whileRunning).toBe(1);
    expect([found(stored(world)), sealedItems(world)]).toEqual([[], []]);
  });

  test("of a create that lost against another are not kept", async () => {
    const world = await watchedWorld();

    const answered = await Promise.all([world.create(secrets), world.create(secrets)]);
    await world.create(secrets);

    expect(answered.map(({ status }) => status).toSorted()).toEqual([201, 409]);
    expect(sealedItems(world)).toHaveLength(1);
  });

  test("include a public key whose owner can log in by SSH until the workspace stops", async () => {
    const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.alloc(36, "k")]);
    const key = `ssh-ed25519 ${blob.toString("base64")}`;
    const world = await watchedWorld();
    const inClear = () => stored(world).filter((text) => text.includes(blob.toString("base64")));

    await world.create({ sshPublicKey: `${key} me@laptop\n` });
    await world.deliver();
    const { uid } = world.head();
    const running = [world.compute.access(uid, 1)?.keys, inClear()];
    await world.stop();
    await world.start();
    await world.deliver();

    expect(running).toEqual([[key], []]);
    expect([world.compute.access(uid, 2)?.keys, sealedItems(world).length, inClear()]).toEqual([[], 1, []]);
    expect(world.noted.some((text) => text.includes(blob.toString("base64")))).toBe(false);
  });

  test("may have 16 KiB each at the same time", async () => {
    const world = await watchedWorld();
    const long = '"'.repeat(16 * 1024);

    const { status } = await world.create(Object.fromEntries(all.map((name) => [name, long])));

    expect([status, world.runs[0]?.env.GEMINI_API_KEY?.length]).toEqual([201, 16 * 1024]);
  });
});

test("a generated password differs in each run, and is known only inside the workspace", async () => {
  const world = await watchedWorld();

  await world.ask("POST", path, newWorkspace(workspaceId));
  await world.stop();
  await world.start({ codeServerPassword: "" });

  const passwords = world.runs.map(({ env }) => env.CODE_SERVER_PASSWORD ?? "");
  expect(passwords).toEqual([1, 2].map(() => expect.stringMatching(/^[\w-]{32}$/)));
  expect(new Set(passwords).size).toBe(2);
  expect(world.noted.some((text) => passwords.some((password) => text.includes(password)))).toBe(false);
});
