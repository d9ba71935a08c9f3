import { expect, test } from "vitest";
import { isLoginShape } from "#core/environments/access/login-shape.ts";
import { newWorkspace, plainInstance } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi";

test("a gateway looks up the SSH user names of all APIs whose environments have keys", async () => {
  const settings = { sshGateway: { host: "ssh.berth.dev", port: 22 } };
  const world = await httpWorld({ settings, nodes: newNodes({ h100: 1, a10g: 2, "cpu-shared": 2 }) });
  const key = await world.login();
  world.githubKeys.publish("octocat", `${publicKey}\n`);
  const job = { image: "busybox", instance_type: "p5.48xlarge", ssh_public_keys: [publicKey] };

  const answers = [
    await world.request("POST", "/v1/jobs/submit", { key, body: job }),
    await world.request("POST", "/api/instances", { key, body: { ...plainInstance, githubUser: "octocat" } }),
    await world.request("POST", "/api/v1/environments", {
      key,
      body: { ...newWorkspace("A_workspace"), sshPublicKey: publicKey },
    }),
  ];
  await world.advance(60_000);

  const entries = world.table.all().filter(({ kind }) => kind === "ssh-entry");
  const logins = entries.map(({ pk }) => pk.slice("ssh-login#".length));
  expect(answers.map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(logins.map(isLoginShape)).toEqual([true, true, true]);
});
