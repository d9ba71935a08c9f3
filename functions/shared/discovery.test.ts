import { expect, test } from "vitest";
import { buildApp } from "#http/app.ts";
import { version } from "#http/version.ts";
import { testCliPackage } from "#tests/fixtures/cli-package.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { endpoint } from "./discovery.ts";

test("a client learns how to log in and where SSH listens, without a key", async () => {
  const runtime = await fixtureRuntime();
  const deployment = { ...runtime.deployment, region: "eu-west-1", ssh: { host: "127.0.0.1", port: 2222 } };

  const response = await buildApp({ ...runtime, deployment }, [endpoint]).request("/.well-known/berth");

  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    service: "berth",
    version,
    min_client_version: "1.0.0",
    login: {
      path: "/v1/auth/aws-login",
      server_id: "berth-local",
      sts_origins: ["https://sts.amazonaws.com"],
      region: "eu-west-1",
    },
    paths: { docs: "/docs", openapi: "/openapi.json", console: "/" },
    ssh: { host: "127.0.0.1", port: 2222, host_keys: [] },
    cli: { version, path: "/cli/berth.tgz", sha256: testCliPackage().sha256, min_version: "1.0.0" },
  });
});

test("a console with a host of its own is named by its URL", async () => {
  const runtime = await fixtureRuntime();
  const deployment = { ...runtime.deployment, consoleUrl: "http://berth.localhost:8080/" };

  const response = await buildApp({ ...runtime, deployment }, [endpoint]).request("/.well-known/berth");

  expect(await response.json()).toMatchObject({ paths: { console: "http://berth.localhost:8080/" } });
});

test("a deployment without a shared SSH endpoint names none", async () => {
  const response = await buildApp(await fixtureRuntime(), [endpoint]).request("/.well-known/berth");

  expect(await response.json()).toMatchObject({ ssh: null, login: { region: null } });
});

test("a deployment with a gateway names it with its host keys, both while one is exchanged", async () => {
  const runtime = await fixtureRuntime();
  const sshHostKeys = ["ssh-ed25519 NEW", "ssh-ed25519 OLD"];
  const settings = { ...runtime.settings, sshGateway: { host: "ssh.berth.dev", port: 22 }, sshHostKeys };

  const response = await buildApp({ ...runtime, settings }, [endpoint]).request("/.well-known/berth");

  expect(await response.json()).toMatchObject({ ssh: { host: "ssh.berth.dev", port: 22, host_keys: sshHostKeys } });
});

test("a deployment without a command line names none", async () => {
  const runtime = await fixtureRuntime();
  const deployment = { ...runtime.deployment, cli: () => undefined };

  const response = await buildApp({ ...runtime, deployment }, [endpoint]).request("/.well-known/berth");

  expect(await response.json()).toMatchObject({ cli: null });
});

test("the paths that it names are served", async () => {
  const world = await httpWorld();
  const { login, paths, cli } = (await (await world.request("GET", "/.well-known/berth")).json()) as {
    readonly login: { readonly path: string };
    readonly paths: Readonly<Record<string, string | null>>;
    readonly cli: { readonly path: string };
  };

  const named = [...Object.values(paths), cli.path].filter((path) => path !== null);
  const statuses = await Promise.all(named.map(async (path) => (await world.request("GET", path)).status));
  expect(statuses).toEqual([200, 200, 200, 200]);
  expect((await world.request("POST", login.path, { body: {} })).status).toBe(400);
});

test("an invalid key in any place does not change the answer", async () => {
  const world = await httpWorld();

  const plain = await (await world.request("GET", "/.well-known/berth")).text();
  const keyed = await (await world.request("GET", "/k/garbage!/.well-known/berth", { key: "x" })).text();

  expect(keyed).toBe(plain);
});
