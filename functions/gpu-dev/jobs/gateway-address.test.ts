import { expect, it } from "vitest";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const keys = ["ssh-ed25519 NEW", "ssh-ed25519 OLD"];
const own = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi";

it.each([
  [22, /^ssh gpu-dev-[0-9a-f]{8}-[0-9a-f]{8}@ssh\.berth\.dev$/],
  [2222, /^ssh -p 2222 gpu-dev-[0-9a-f]{8}-[0-9a-f]{8}@ssh\.berth\.dev$/],
])("a job names the gateway at port %i and its present host key, but only if a key gets in", async (port, command) => {
  const sshGateway = { host: "ssh.berth.dev", port };
  const world = await httpWorld({ settings: { sshGateway, sshHostKeys: keys }, access: { sshPort: null } });
  const key = await world.login();
  const show = async (ssh_public_keys: readonly string[]) => {
    const body = { image: "busybox", instance_type: "p5.48xlarge", ssh_public_keys };
    const answer = await world.request("POST", "/v1/jobs/submit", { key, body });
    const { job_id } = (await answer.json()) as { readonly job_id: string };
    const queued = await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json();
    await world.deliver();
    return [queued, await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json()];
  };

  const [queued, open] = await show([own]);
  const [, shut] = await show([]);

  expect(queued).toMatchObject({ ssh_command: null, ssh_host_key: null });
  expect(open).toMatchObject({ status: "active", ssh_command: expect.stringMatching(command), ssh_host_key: keys[0] });
  expect(shut).toMatchObject({ status: "active", ssh_command: null });
});

it("a job with a key or Jupyter on a deployment without a way in warns of that, and no other job does", async () => {
  const nodes = newNodes({ h100: 3 });
  const world = await httpWorld({ nodes, settings: { userAccess: "none" }, access: { sshPort: null } });
  const key = await world.login();
  const show = async (more: object) => {
    const body = { image: "busybox", instance_type: "p5.48xlarge", ...more };
    const answer = await world.request("POST", "/v1/jobs/submit", { key, body });
    const { job_id } = (await answer.json()) as { readonly job_id: string };
    await world.deliver();
    const shown = await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json();
    return shown as { readonly status: string; readonly ssh_command: unknown; readonly warning: unknown };
  };

  const [keyed, withJupyter, keyless] = [
    await show({ ssh_public_keys: [own] }),
    await show({ jupyter_enabled: true }),
    await show({}),
  ];

  const words = "SSH, Jupyter and pages of this job cannot be reached: this deployment has no way in (ACCESS=none)";
  expect(keyed).toMatchObject({ status: "active", ssh_command: null, warning: words });
  expect(withJupyter).toMatchObject({ status: "active", warning: words });
  expect(keyless).toMatchObject({ status: "active", warning: null });
});
