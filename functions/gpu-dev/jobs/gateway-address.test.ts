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

const noWayIn = "SSH, Jupyter and pages of this job cannot be reached: this deployment has no way in (ACCESS=none)";
const onlySsh =
  "Jupyter of this job has no address outside, because this deployment lets in SSH alone (ACCESS=nodeport). " +
  "Forward its port by SSH, usually 8888, and open it with jupyter_token";

it.each([
  ["none", null, noWayIn, noWayIn],
  ["nodeport", 2222, null, onlySsh],
] as const)(
  "with ACCESS=%s a job shows no address that users cannot reach, and warns of each way that is shut",
  async (userAccess, sshPort, keyedWarning, jupyterWarning) => {
    const nodes = newNodes({ h100: 3 });
    const world = await httpWorld({ nodes, settings: { userAccess }, access: { sshPort } });
    const key = await world.login();
    const show = async (more: object) => {
      const body = { image: "busybox", instance_type: "p5.48xlarge", ...more };
      const answer = await world.request("POST", "/v1/jobs/submit", { key, body });
      const { job_id } = (await answer.json()) as { readonly job_id: string };
      await world.deliver();
      return (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json();
    };

    const [keyed, withJupyter, keyless] = [
      await show({ ssh_public_keys: [own] }),
      await show({ jupyter_enabled: true }),
      await show({}),
    ];

    const command = sshPort === null ? null : expect.stringMatching(/^ssh -p \d+ /);
    expect(keyed).toMatchObject({ status: "active", ssh_command: command, warning: keyedWarning });
    expect(withJupyter).toMatchObject({ status: "active", jupyter_enabled: true, warning: jupyterWarning });
    expect(withJupyter).toMatchObject({ jupyter_url: null, jupyter_port: null, jupyter_token: expect.any(String) });
    expect(keyless).toMatchObject({ status: "active", warning: null });
  },
);

it("a job of the embedded stack, which sets no ACCESS, shows the address of its Jupyter without a warning", async () => {
  const world = await httpWorld({ nodes: newNodes({ h100: 1 }) });
  const key = await world.login();
  const body = { image: "busybox", instance_type: "p5.48xlarge", jupyter_enabled: true };
  const answer = await world.request("POST", "/v1/jobs/submit", { key, body });
  const { job_id } = (await answer.json()) as { readonly job_id: string };
  await world.deliver();

  const shown = await (await world.request("GET", `/v1/jobs/${job_id}`, { key })).json();

  expect(shown).toMatchObject({ jupyter_url: expect.stringMatching(/^http:\/\/\S+\?token=/), warning: null });
});
