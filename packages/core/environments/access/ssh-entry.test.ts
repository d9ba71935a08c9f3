import { expect, it } from "vitest";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { sshLoginPartition } from "../../store/keys.ts";
import { reservation } from "../record/policy.ts";
import { requestKey } from "../verbs/actions.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestStart } from "../verbs/start.ts";
import { requestStop } from "../verbs/stop.ts";
import { type SshEntry, writeSshEntry } from "./ssh-entry.ts";

const settings = { sshGateway: { host: "ssh.berth.dev", port: 22 } };

function keyLine(letter: string): string {
  const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.alloc(36, letter)]);
  return `ssh-ed25519 ${blob.toString("base64")}`;
}

const [first, second] = [keyLine("a"), keyLine("b")];

async function open(options: Parameters<typeof memoryWorld>[0] = { settings }) {
  const world = await memoryWorld(options);
  const policy = { ...reservation, restarts: true };
  const input = { ...newEnvironment("job"), login: "one", sshKeys: [first], policy };
  await createEnvironment(world.as("alice"), input);
  await world.deliver();
  const read = async () => (await world.table.query({ pk: sshLoginPartition("one") })).items[0] as SshEntry | undefined;
  return { world, read };
}

it("has the keys of the run, and each key that is added later", async () => {
  const { world, read } = await open();
  const before = await read();

  await requestKey(world.as("alice"), "job", second, ({ phase }) => phase);
  await world.deliver();

  expect(before).toMatchObject({ kind: "ssh-entry", run: 1, keys: [first] });
  expect((await read())?.keys).toEqual([first, second]);
});

it("is not overwritten by a worker with an older access", async () => {
  const { world, read } = await open();
  const older = await world.read("alice", "job");
  await requestKey(world.as("alice"), "job", second, ({ phase }) => phase);
  await world.deliver();

  await writeSshEntry(world.ctx, older, [first]);

  expect((await read())?.keys).toEqual([first, second]);
});

it("follows the environment to its next run", async () => {
  const { world, read } = await open();
  await requestStop(world.as("alice"), "job");
  await world.advance(120_000);
  const stopped = await read();

  await requestStart(world.as("alice"), "job");
  await world.advance(120_000);

  expect(stopped).toMatchObject({ run: 1 });
  expect(await read()).toMatchObject({ run: 2, keys: [first] });
  expect((await read())?.ttl).toBeUndefined();
});

it("is not written by a deployment without a gateway", async () => {
  const { read } = await open({});

  expect(await read()).toBeUndefined();
});
