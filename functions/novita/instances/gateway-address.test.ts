import { expect, it } from "vitest";
import { instanceWorld } from "#tests/worlds/instance-world.ts";
import { toInstanceEvent } from "./internal/webhook.ts";

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi";
const webhookUrl = "https://your-app.com/webhook";

it.each([
  [22, (id: string) => `ssh ${id}@ssh.berth.dev`],
  [2222, (id: string) => `ssh -p 2222 ${id}@ssh.berth.dev`],
])("an instance and its webhook name the gateway at port %i, but only if a key gets in", async (port, format) => {
  const sshGateway = { host: "ssh.berth.dev", port };
  const access = { sshPort: null };
  const { world, create, show } = await instanceWorld({ settings: { sshGateway }, access, bodyOf: toInstanceEvent });
  world.githubKeys.publish("octocat", `${publicKey}\n`);
  const [open, shut] = [await create({ githubUser: "octocat", webhookUrl }), await create()];
  await world.advance(60_000);

  const { instanceId: id } = open.body;
  const [entered, keyless] = [await show(id), await show(shut.body.instanceId)];
  const sent = world.fetch.posts.map(({ body }) => JSON.parse(body)).find(({ status }) => status === "ready");

  const ways = {
    portMappings: [
      { port: 22, endpoint: `ssh.berth.dev:${port}`, type: "tcp" },
      { port: 8888, endpoint: expect.any(String), type: "http" },
    ],
    connectionDetails: { ssh: format(id) },
  };
  expect(entered).toMatchObject({ status: "ready", ...ways });
  expect(sent).toMatchObject({ instanceId: id, data: ways });
  expect(keyless).toMatchObject({ status: "ready", connectionDetails: { ssh: null } });
});
