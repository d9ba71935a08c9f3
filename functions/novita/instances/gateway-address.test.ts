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

it("an instance behind a gateway shows no address of its pod, and says how to reach a port without another one", async () => {
  const sshGateway = { host: "ssh.berth.dev", port: 22 };
  const settings = {
    sshGateway,
    userAccess: "gateway" as const,
    domain: "preview.berth.dev",
    scheme: "https" as const,
  };
  const { world, ask, create, show } = await instanceWorld({ settings, bodyOf: toInstanceEvent });
  world.githubKeys.publish("octocat", `${publicKey}\n`);
  const created = [await create({ githubUser: "octocat", webhookUrl }), await create()];
  await world.advance(60_000);
  const ids = created.map(({ body }) => String(body.instanceId));
  const before = await show(ids[0]);
  for (const id of ids) await ask("POST", `/api/instances/${id}/stop`);
  await world.advance(60_000);
  for (const id of ids) await ask("POST", `/api/instances/${id}/start`, { targetPort: 9000 });
  await world.advance(120_000);

  const [open, keyless] = [await show(ids[0]), await show(ids[1])];
  const sent = world.fetch.posts.map(({ body }) => JSON.parse(body)).findLast(({ status }) => status === "ready");

  const jupyter = expect.stringMatching(/^https:\/\/jupyter-[0-9a-f]{20}\.preview\.berth\.dev$/);
  const portMappings = [
    { port: 22, endpoint: "ssh.berth.dev:22", type: "tcp" },
    { port: 8888, endpoint: jupyter, type: "http" },
  ];
  expect(before).toMatchObject({ status: "ready", statusReason: null, portMappings });
  expect(open).toMatchObject({
    status: "ready",
    statusReason: `Not reachable from outside: port 9000. Forward it: ssh ${ids[0]}@ssh.berth.dev -L 9000:127.0.0.1:9000`,
    portMappings,
  });
  expect(keyless.statusReason).toBe(
    "Not reachable from outside: port 9000, unless githubUser names a user with SSH keys",
  );
  // Jupyter's address is known a moment later.
  expect(sent.data).toMatchObject({ portMappings: [portMappings[0]], connectionDetails: { jupyter: null } });
});

it.each([
  [
    "nodeport",
    (command: string) => `port 8888, 9000. Forward it: ${command} -L 8888:127.0.0.1:8888 -L 9000:127.0.0.1:9000`,
  ],
  ["none", () => "port 8888, 9000: this deployment has no way in (ACCESS=none)"],
] as const)(
  "an instance of a deployment with ACCESS=%s shows no address of its pod, and says why",
  async (userAccess, format) => {
    const settings = { userAccess, domain: "preview.berth.dev", scheme: "https" as const };
    const { world, ask, create, show } = await instanceWorld({
      settings,
      access: { sshPort: userAccess === "none" ? null : 30_022 },
    });
    world.githubKeys.publish("octocat", `${publicKey}\n`);
    const { instanceId: id } = (await create({ githubUser: "octocat" })).body;
    await world.advance(60_000);
    await ask("POST", `/api/instances/${id}/stop`);
    await world.advance(60_000);
    await ask("POST", `/api/instances/${id}/start`, { targetPort: 9000 });
    await world.advance(120_000);

    const { status, statusReason, portMappings, connectionDetails } = await show(id);

    expect([status, portMappings.filter(({ type }: { type: string }) => type === "http")]).toEqual(["ready", []]);
    expect(connectionDetails.jupyter).toBeNull();
    expect(statusReason).toBe(`Not reachable from outside: ${format(connectionDetails.ssh)}`);
  },
);
