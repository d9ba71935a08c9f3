import { describe, expect, test } from "vitest";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Item } from "#core/ports/table.ts";
import { type PutFaults, withPutFaults } from "#tests/faults/put-faults.ts";
import { newWorkspace } from "#tests/fixtures/catalog-requests.ts";
import { second } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";
import { type Answered, type WorkspaceWorld, workspaceId, workspaceWorld } from "#tests/worlds/workspace-world.ts";

const path = "/api/v1/environments";
const broken = { kind: "imageFails", reason: "Image not found" } as const;
const lives = { kind: "lives" } as const;

const categories = { 404: "Resource Not Found", 409: "Conflict" } as const;
const notThere = `workspace not found: ${workspaceId}`;
const noVolume = `workspace volume not found: fs-${workspaceId}. Create environment first.`;
const noContainer = `container not found for workspace ${workspaceId}. Already stopped?`;
const exists = `container already exists for workspace ${workspaceId}. Use stop first if needed.`;
const running = `workspace ${workspaceId} is still running. Stop it first or use force=true`;

function refused(status: keyof typeof categories, message: string): Answered {
  return { status, body: { success: false, error: categories[status], message, code: `ERR_${status}` } };
}

const unexpected = "An unexpected error occurred. Please try again later.";
const failed: Answered = {
  status: 500,
  body: { success: false, error: "Internal Server Error", message: unexpected, code: "ERR_500" },
};
const stopped: Answered = {
  status: 200,
  body: {
    success: true,
    message: "Workspace stopped successfully",
    data: { workspaceId, message: "Container deleted, volumes preserved. Restart anytime to resume work." },
  },
};
const deleted: Answered = {
  status: 200,
  body: {
    success: true,
    message: "Workspace deleted permanently",
    data: { workspaceId, message: "All data and resources have been permanently removed" },
  },
};

describe("create", () => {
  test("answers 201 with the running workspace, byte for byte as the contract prints it", async () => {
    const world = await workspaceWorld();

    const response = await world.request("POST", path, { key: world.key, body: newWorkspace(workspaceId) });

    const at = "2026-01-20T18:00:00Z";
    const fqdn = `ws-${workspaceId}.centralindia.preview.localhost`;
    const environment = {
      id: workspaceId,
      name: "Test Workspace",
      userId: "user123",
      status: "RUNNING",
      cloudProvider: "AZURE",
      cloudRegion: "centralindia",
      cpuCores: 2,
      memoryGB: 4,
      storageGB: 20,
      baseImage: "node",
      azureResourceGroup: "dev8-rg-centralindia",
      azureContainerGroup: `aci-${workspaceId}`,
      azureFileShare: `fs-${workspaceId}`,
      azureFqdn: fqdn,
      connectionUrls: { vscode: `http://${fqdn}:8080`, ssh: `ssh -p 2222 dev8@${fqdn}` },
      createdAt: at,
      updatedAt: at,
    };
    const data = { environment, message: "Your development environment is ready to use" };
    expect(response.status).toBe(201);
    expect(await response.text()).toBe(
      JSON.stringify({ success: true, message: "Workspace created successfully", data }),
    );
  });

  test("creates both volumes and a container with both ports and the requested settings", async () => {
    const world = await workspaceWorld();

    await world.create({ cpuCores: 1.5, memoryGB: 2.5, storageGB: 30 });

    const { volumes, ports, resources, size } = world.head();
    expect(volumes).toMatchObject([
      { name: "workspace", path: "/home/dev8/workspace", sizeGb: 30 },
      { name: "home", path: "/home/dev8", sizeGb: 5 },
    ]);
    expect(ports.map(({ port, kind }) => [port, kind])).toEqual([
      [8080, "http"],
      [22, "ssh"],
    ]);
    expect([resources, size.units]).toEqual([{ cpus: 1.5, memoryMb: 2560 }, 2]);
  });

  test("has defaults for optional fields, and accepts comments, unknown fields and slashes in strings", async () => {
    const world = await workspaceWorld();
    const { userId: _, baseImage: __, ...named } = newWorkspace(workspaceId);
    const body = JSON.stringify({ ...named, name: "https://example.com//x /* y */" });

    const { status, body: shown } = await world.ask(
      "POST",
      path,
      `// a comment\n${body.replace("{", '{ /* more */ "other": 1, "sshPublicKey": "ssh-rsa AA//BB",')}`,
    );

    expect([status, shown.data.environment]).toMatchObject([
      201,
      { userId: "default-user", baseImage: "node", cloudProvider: "AZURE", name: "https://example.com//x /* y */" },
    ]);
  });

  test("without capacity answers 201 with CREATING before the edge times out, and continues", async () => {
    const world = await workspaceWorld({ nodes: newNodes({ h100: 1 }) });
    const begun = world.clock.now();

    const { status, body } = await world.create();

    expect([status, body.data.environment.status, body.data.message]).toEqual([
      ...[201, "CREATING", "Your development environment is being prepared"],
    ]);
    expect(world.clock.now() - begun).toBeLessThanOrEqual(25_000);
    expect(await world.create()).toEqual(refused(409, exists));
    expect(await world.stop()).toEqual(stopped);
    expect(await world.status()).toBe("STOPPED");
  });

  test("that takes two minutes is RUNNING after them", async () => {
    const world = await workspaceWorld({ delays: { imageMs: 120_000 } });

    const { body } = await world.create();
    await world.advance(120_000);

    expect([body.data.environment.status, await world.status()]).toEqual(["CREATING", "RUNNING"]);
  });

  test("that fails in time answers 500 and leaves nothing: the id is free", async () => {
    const world = await workspaceWorld();
    world.programAll(broken);

    expect(await world.create()).toEqual(failed);
    expect(await world.ask("GET", `${path}/${workspaceId}`)).toEqual(refused(404, notThere));
    expect(world.volumes.volumeIds()).toEqual([]);

    world.programAll(lives);
    const { status, body } = await world.create();
    expect([status, body.data.environment.azureFqdn]).toEqual([
      ...[201, `ws-${workspaceId}.centralindia.preview.localhost`],
    ]);
  });

  test("that fails later is ERROR without leftovers, and can be repeated or deleted", async () => {
    const world = await workspaceWorld();
    world.programAll({ kind: "neverBinds", reason: "no machine" });
    const { status } = await world.create();

    await world.advance(600_000);
    expect([status, await world.status(), world.volumes.volumeIds()]).toEqual([201, "ERROR", []]);
    expect(await world.start()).toEqual(refused(404, noVolume));
    expect(await world.stop()).toEqual(refused(404, noContainer));

    world.programAll(lives);
    expect((await world.create({ name: "Again" })).status).toBe(201);
    expect(world.head()).toMatchObject({ name: "Again", starts: 0 });
  });

  test("is refused while another workspace has the id", async () => {
    const world = await workspaceWorld({ delays: { removeMs: 60_000 } });
    await world.create();
    const whileRunning = await world.create();
    await world.stop();
    const whileStopping = await world.create();
    await world.advance(120_000);
    const whileStopped = await world.create();
    await world.start();
    await world.remove({ force: true });
    const whileDeleted = await world.create();

    const there = refused(409, `workspace ${workspaceId} already exists. Start it or delete it first.`);
    expect([whileRunning, whileStopping, whileStopped, whileDeleted]).toEqual([
      ...[refused(409, exists), there, there, refused(409, `workspace ${workspaceId} is being deleted`)],
    ]);
  });

  test("creates one workspace per Idempotency-Key, and another one after a failure", async () => {
    const world = await workspaceWorld();
    const sent = { key: world.key, body: newWorkspace(workspaceId), headers: { "Idempotency-Key": "k1" } };
    const post = () => world.request("POST", path, sent);
    world.programAll(broken);

    const first = await post();
    world.programAll(lives);
    const [made, again] = [await post(), await post()];

    expect([first.status, made.status, again.status]).toEqual([500, 201, 201]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await again.text()).toBe(await made.text());
    const otherResponse = await world.request("POST", path, { ...sent, body: newWorkspace("another-workspace") });
    expect(otherResponse.status).toBe(409);
  });

  test("repeated under its key after a lost answer does not change a workspace that has been used and died since", async () => {
    const faults: PutFaults = {};
    const world = await workspaceWorld({ wrap: withPutFaults(faults) });
    let puts = 0;
    faults.beforePut = (item) => {
      if ((item as Item).kind === "idempotency" && ++puts > 1) throw new Error("gone");
    };
    const sent = { key: world.key, body: newWorkspace(workspaceId), headers: { "Idempotency-Key": "k1" } };
    await world.request("POST", path, sent);
    delete faults.beforePut;
    await world.compute.remove(world.head().uid, 1, { graceSeconds: 0, force: true });
    await world.advance(60_000);
    const kept = world.volumes.volumeIds();

    const again = await world.request("POST", path, sent);
    await world.advance(60_000);

    expect([puts > 1, kept.length > 0, again.status]).toEqual([true, true, 500]);
    expect([await world.status(), world.volumes.volumeIds()]).toEqual(["ERROR", kept]);
  });

  test.each(["clh3x2k9p0000abcd1234efgh", "6f1ed002-ab5e-4f5a-9c1b-0123456789ab", "abcdefghij", "A".repeat(63)])(
    "accepts the id %s",
    async (id) => {
      const world = await workspaceWorld();

      const { status, body } = await world.create({ workspaceId: id });

      expect([status, body.data.environment.id]).toEqual([201, id]);
    },
  );
});

describe("start", () => {
  test("accepts the workspace's own name that is no longer valid, and no other invalid name", async () => {
    const world = await workspaceWorld();
    await world.create();
    await world.stop();
    await world.deliver();
    const [name, userId] = ["a\u200bb", "c\u2028d"];
    const item = { ...world.head(), name, labels: { ...world.head().labels, userId } };
    await world.table.put(item as never);

    const otherEntry = await world.start({ name: "b\u200bc", userId });
    const same = await world.start({ name, userId });

    expect([otherEntry.status, otherEntry.body.message]).toEqual([400, "name must not contain control characters"]);
    expect([same.status, same.body.data?.environment]).toMatchObject([200, { name, userId }]);
  });

  test("creates a new container with the sent settings at the same volumes, id and address", async () => {
    const world = await workspaceWorld();
    const created = (await world.create()).body.data.environment;
    const before = world.head();
    await world.stop();

    const changes = { name: "Renamed", userId: "user456", cpuCores: 4, memoryGB: 8, storageGB: 100, baseImage: "go" };
    const { status, body } = await world.start(changes);

    expect([status, body]).toEqual([
      200,
      {
        success: true,
        message: "Workspace started successfully",
        data: {
          environment: { ...created, ...changes, storageGB: 20, updatedAt: expect.any(String) },
          message: "Your workspace is now running with existing data",
        },
      },
    ]);
    const after = world.head();
    expect(after).toMatchObject({ uid: before.uid, volumes: before.volumes, run: { n: before.run.n + 1 } });
    expect(after.resources).toEqual({ cpus: 4, memoryMb: 8192 });
  });

  test("that takes longer than a call may answers STARTING", async () => {
    const world = await workspaceWorld({ delays: { imageMs: 60_000 } });
    await world.create();
    await world.stop();

    const { body } = await world.start();

    expect([body.data.environment.status, body.data.message]).toEqual([
      ...["STARTING", "Your workspace is starting with existing data"],
    ]);
  });

  test("that fails keeps the volumes, and can be repeated from ERROR", async () => {
    const world = await workspaceWorld();
    await world.create();
    await world.stop();
    world.programAll(broken);

    expect(await world.start()).toEqual(failed);
    expect([await world.status(), world.volumes.volumeIds().length]).toEqual(["ERROR", 2]);

    world.programAll(lives);
    expect((await world.start()).body.data.environment.status).toBe("RUNNING");
  });

  test("is refused without a volume, or with a container", async () => {
    const world = await workspaceWorld({ delays: { removeMs: 60_000 } });
    const never = await world.start();
    await world.create();
    const runs = await world.start();
    await world.stop();
    const stopping = await world.start();
    await world.advance(120_000);
    const elsewhere = await world.start({ cloudRegion: "eastus" });
    await world.start();
    await world.remove({ force: true });
    const leaving = await world.start();

    expect([never, runs, stopping, elsewhere, leaving]).toEqual([
      ...[refused(404, noVolume), refused(409, exists), refused(409, exists)],
      ...[refused(404, noVolume), refused(404, noVolume)],
    ]);
  });
});

describe("stop", () => {
  test("removes the container and keeps both volumes", async () => {
    const world = await workspaceWorld();
    await world.create();

    expect(await world.stop()).toEqual(stopped);

    expect([await world.status(), world.volumes.volumeIds().length]).toEqual(["STOPPED", 2]);
    expect(await world.compute.listRuns()).toEqual([]);
    expect(await world.stop()).toEqual(refused(404, noContainer));
  });

  test("ends a running creation or start, and keeps the volumes", async () => {
    const world = await workspaceWorld({ delays: { imageMs: 60_000 } });
    await world.create();

    expect([await world.status(), await world.stop(), await world.status()]).toEqual(["CREATING", stopped, "STOPPED"]);
    await world.start();
    expect([await world.status(), await world.stop(), await world.status()]).toEqual(["STARTING", stopped, "STOPPED"]);
    expect(world.volumes.volumeIds()).toHaveLength(2);
  });

  test("is refused without a container to stop", async () => {
    const world = await workspaceWorld({ delays: { removeMs: 60_000 } });
    const never = await world.stop();
    await world.create();
    const elsewhere = await world.stop({ cloudRegion: "eastus" });
    const late = await world.stop();
    const stopping = [await world.status(), await world.stop()];

    expect([never, elsewhere, late, stopping]).toEqual([
      ...[refused(404, noContainer), refused(404, noContainer), stopped, ["STOPPING", refused(404, noContainer)]],
    ]);
  });
});

describe("delete", () => {
  test("of a stopped workspace removes everything and frees the id", async () => {
    const world = await workspaceWorld();
    await world.create();
    const before = world.head();
    await world.stop();

    expect(await world.remove({ force: false })).toEqual(deleted);

    expect(world.volumes.volumeIds()).toEqual([]);
    expect(await world.ask("GET", `${path}/${workspaceId}`)).toEqual(refused(404, notThere));
    expect([await world.remove(), await world.stop(), await world.start()]).toEqual([
      ...[refused(404, notThere), refused(404, noContainer), refused(404, noVolume)],
    ]);
    const { status, body } = await world.create();
    expect([status, body.data.environment.azureFqdn]).toEqual([
      ...[201, `ws-${workspaceId}.centralindia.preview.localhost`],
    ]);
    expect(world.head().uid).not.toBe(before.uid);
  });

  test("of a running or starting workspace requires force", async () => {
    const world = await workspaceWorld({ delays: { imageMs: 60_000 } });
    await world.create();

    const creating = await world.remove();
    await world.advance(60_000);
    const runs = [await world.status(), await world.remove({ force: false })];

    expect([creating, runs]).toEqual([refused(409, running), ["RUNNING", refused(409, running)]]);
    expect(await world.remove({ force: true })).toEqual(deleted);
  });

  test("of a stopping workspace requires force, and of one being deleted is answered again", async () => {
    const world = await workspaceWorld({ delays: { removeMs: 90_000 } });
    await world.create();
    await world.stop();

    const stopping = [await world.status(), await world.remove()];
    const forced = await world.remove({ force: true });
    const leaving = [await world.status(), await world.remove(), await world.stop()];

    expect(stopping).toEqual(["STOPPING", refused(409, running)]);
    expect(forced).toEqual(deleted);
    expect(leaving).toEqual(["DELETING", deleted, refused(404, noContainer)]);
  });

  test("of a failed workspace requires no force", async () => {
    const world = await workspaceWorld();
    await world.create();
    await world.compute.remove(world.head().uid, 1, { graceSeconds: 0, force: true });
    await world.advance(60_000);

    expect([await world.status(), world.volumes.volumeIds().length]).toEqual(["ERROR", 2]);
    expect(await world.remove()).toEqual(deleted);
    expect(world.volumes.volumeIds()).toEqual([]);
  });

  test("is refused for another region, and takes its fields only from the body", async () => {
    const world = await workspaceWorld();
    await world.create();
    await world.stop();

    expect(await world.remove({ cloudRegion: "eastus" })).toEqual(refused(404, notThere));
    const body = { workspaceId, cloudRegion: "centralindia" };
    expect(await world.ask("DELETE", `${path}?force=%&workspaceId=x`, body)).toEqual(deleted);
  });
});

test("a container that dies leaves ERROR with its volumes, from which a start works", async () => {
  const world = await workspaceWorld();
  await world.create();
  await world.compute.remove(world.head().uid, 1, { graceSeconds: 0, force: true });
  await world.advance(60_000);

  const { status, body } = await world.start();

  expect([status, body.data.environment.status]).toEqual([200, "RUNNING"]);
});

test("create, stop and start in a row, as documented, answer 201, 200 and 200", async () => {
  const world = await workspaceWorld();

  const statuses = [await world.create(), await world.stop(), await world.start()].map(({ status }) => status);

  expect(statuses).toEqual([201, 200, 200]);
});

describe("two owners with the same id", () => {
  test("cannot see each other's workspace", async () => {
    const world = await workspaceWorld();
    const stranger = await world.login(second);
    const [mine, otherEntry] = [await world.create(), await world.create({ name: "Other" }, stranger)];
    const ofOther = () => world.ask("GET", `${path}/${workspaceId}`, undefined, stranger);
    const before = await ofOther();
    const heads = world.table.all().filter(({ kind }) => kind === "environment");
    const logins = heads.map((item) => parseEnvironment(item).access.login);

    await world.stop();
    await world.remove();

    const names = [mine, otherEntry].map(({ body }) => body.data.environment.azureFqdn);
    expect(names).toEqual([
      `ws-${workspaceId}.centralindia.preview.localhost`,
      expect.stringMatching(/^ws-test-workspace-001-[0-9a-f]{6}\.centralindia\.preview\.localhost$/),
    ]);
    expect(new Set(logins).size).toBe(2);
    expect(await ofOther()).toEqual(before);
    expect(await world.status()).toBeUndefined();
  });

  test("keep the addresses of their workspaces", async () => {
    const world = await workspaceWorld();
    const stranger = await world.login(second);
    await world.create();
    const { body } = await world.create({}, stranger);
    await world.remove({ force: true });
    const named = { workspaceId, cloudRegion: "centralindia" };

    await world.ask("POST", `${path}/stop`, named, stranger);
    const again = await world.ask("POST", `${path}/start`, newWorkspace(workspaceId), stranger);

    expect(again.body.data.environment.azureFqdn).toBe(body.data.environment.azureFqdn);
  });

  test("get not-found answers for each other's workspace", async () => {
    const world = await workspaceWorld();
    const stranger = await world.login(second);
    await world.create();
    const named = { workspaceId, cloudRegion: "centralindia" };

    const shown = [
      await world.ask("GET", `${path}/${workspaceId}`, undefined, stranger),
      await world.ask("POST", `${path}/stop`, named, stranger),
      await world.ask("POST", `${path}/start`, newWorkspace(workspaceId), stranger),
      await world.ask("DELETE", path, named, stranger),
      await world.ask("POST", `${path}/${workspaceId}/activity`, {}, stranger),
    ];

    expect(shown).toEqual([notThere, noContainer, noVolume, notThere, notThere].map((text) => refused(404, text)));
    expect(await world.status()).toBe("RUNNING");
  });
});

describe("read", () => {
  test("lists only the caller's workspaces, newest first", async () => {
    const world = await workspaceWorld();
    const stranger = await world.login(second);
    const none = await world.ask("GET", path);
    await world.create({ workspaceId: "zzzzzzzzzzzz" });
    await world.advance(1_000);
    await world.create();
    await world.create({ workspaceId: "of-somebody-else" }, stranger);

    const { body } = await world.ask("GET", path);

    const message = "Environments retrieved successfully";
    expect(none.body).toEqual({ success: true, message, data: { environments: [], total: 0 } });
    expect(body.data.environments.map(({ id }: { id: string }) => id)).toEqual([workspaceId, "zzzzzzzzzzzz"]);
    expect(body).toMatchObject({ success: true, message, data: { total: 2 } });
  });

  test("of one workspace equals its entry in the list", async () => {
    const world = await workspaceWorld();
    const { environment } = (await world.create()).body.data;

    const entry = await world.ask("GET", `${path}/${workspaceId}`);
    const all = await world.ask("GET", path);

    const message = "Environment retrieved successfully";
    expect(entry).toEqual({ status: 200, body: { success: true, message, data: { environment } } });
    expect(all.body.data.environments).toEqual([environment]);
  });

  test.each(["start", "stop", "short", "{id}", "nobodys-workspace", "a b", "x".repeat(64)])(
    "of the unknown id %s is 404",
    async (id) => {
      const world = await workspaceWorld();

      const shown = await world.ask("GET", `${path}/${encodeURIComponent(id)}`);

      expect(shown).toEqual(refused(404, `workspace not found: ${id}`));
    },
  );
});

test("an error before any workspace is read has this dialect's envelope", async () => {
  const world = await workspaceWorld();
  const { key } = world;
  const envelope = (error: string, message: string, status: number) => [
    ...[status, { success: false, error, message, code: `ERR_${status}` }],
  ];

  const responses = [
    await world.request("GET", path),
    await world.request("GET", path, { key: "k".repeat(43) }),
    await world.request("GET", `/k/${"k".repeat(43)}${path}`),
    await world.request("GET", "/api/v1/nothing", { key }),
    await world.request("PUT", path, { key }),
    await world.request("GET", `${path}/`, { key }),
  ];
  const shown = await Promise.all(responses.map(async (response) => [response.status, await response.json()]));

  expect(shown).toEqual([
    envelope("Unauthorized", "Not authenticated", 401),
    envelope("Unauthorized", "Invalid API key", 401),
    envelope("Unauthorized", "Invalid API key", 401),
    envelope("Resource Not Found", "Route not found", 404),
    envelope("Method Not Allowed", "Method not allowed", 405),
    envelope("Resource Not Found", "Route not found", 404),
  ]);
  expect((await world.request("GET", `/k/${key}${path}`)).status).toBe(200);
});

test.each([
  [{ scheme: "https", domain: "dev.example.com" }, `https://ws-${workspaceId}.eastus.dev.example.com`],
  [{ scheme: "http", domain: "dev.example.com" }, `http://ws-${workspaceId}.eastus.dev.example.com:8080`],
  [{ scheme: "http", domain: "preview.localhost:8443" }, `http://ws-${workspaceId}.eastus.preview.localhost:8443`],
] as const)("the page's address follows the deployment %j", async (settings, vscode) => {
  const world = await workspaceWorld({ settings });

  const { body } = await world.create({ cloudRegion: "eastus" });

  expect(body.data.environment.connectionUrls.vscode).toBe(vscode);
});

test.each(["nodeport", "none"] as const)(
  "with ACCESS=%s no address leads to VS Code, and a warning says so",
  async (userAccess) => {
    const world = await workspaceWorld({ settings: { userAccess } });

    const { body } = await world.create({});

    expect(body.data.environment).toMatchObject({
      connectionUrls: { vscode: null },
      warning: `VS Code cannot be reached: this deployment serves no pages (ACCESS=${userAccess})`,
    });
  },
);

test.each([
  ["preview.localhost:8080", 2201, `ssh -p 2201 ws-${workspaceId}.eastus@127.0.0.1`],
  ["preview.localhost:8080", null, `ssh -p 2222 dev8@ws-${workspaceId}.eastus.preview.localhost`],
  ["dev.example.com", 2201, `ssh -p 2222 dev8@ws-${workspaceId}.eastus.dev.example.com`],
  ["notlocalhost", 2201, `ssh -p 2222 dev8@ws-${workspaceId}.eastus.notlocalhost`],
])("the SSH command below %s uses the SSH endpoint %s", async (domain, sshPort, ssh) => {
  const world = await workspaceWorld({ settings: { domain }, access: { sshPort } });

  const { body } = await world.create({ cloudRegion: "eastus" });

  expect(body.data.environment.connectionUrls.ssh).toBe(ssh);
});

test.each([
  ["a gateway at port 22", { sshGateway: { host: "ssh.berth.dev", port: 22 } }, "ssh LOGIN@ssh.berth.dev"],
  ["a gateway at another port", { sshGateway: { host: "ssh.berth.dev", port: 99 } }, "ssh -p 99 LOGIN@ssh.berth.dev"],
  ["node ports", { userAccess: "nodeport" }, "ssh -p 2201 LOGIN@127.0.0.1"],
] as const)("the SSH command of a deployment with %s works there", async (_, access, command) => {
  const world = await workspaceWorld({ settings: { domain: "dev.example.com", ...access }, access: { sshPort: 2201 } });

  const { body } = await world.create({ cloudRegion: "eastus" });

  expect(body.data.environment.connectionUrls.ssh).toBe(command.replace("LOGIN", `ws-${workspaceId}.eastus`));
});

/** Sends a request that fails after some of its writes, and repeats it with the same idempotency key. */
async function twice(world: WorkspaceWorld, faults: PutFaults, died: number, action: "start" | "stop") {
  let writes = 0;
  faults.afterPut = () => {
    if (++writes === died) throw new Error("gone");
  };
  const body = action === "start" ? newWorkspace(workspaceId) : { workspaceId, cloudRegion: "centralindia" };
  const sent = { key: world.key, body, headers: { "Idempotency-Key": "k1" } };
  const first = await world.request("POST", `${path}/${action}`, sent);
  delete faults.afterPut;
  const again = await world.request("POST", `${path}/${action}`, sent);
  return [first.status, again.status];
}

test("the repeat of a start or stop under a key gets the answer that was lost", async () => {
  for (let died = 1; died <= 3; died++) {
    const faults: PutFaults = {};
    const world = await workspaceWorld({ wrap: withPutFaults(faults) });
    await world.create();

    const stops = await twice(world, faults, died, "stop");
    // The sweep finds the reconcile that was not sent.
    await world.advance(120_000);
    const between = await world.status();
    const starts = await twice(world, faults, died, "start");
    await world.advance(120_000);

    expect([stops[1], between, starts[1], await world.status()], `died after write ${died}`).toEqual([
      ...[200, "STOPPED", 200, "RUNNING"],
    ]);
  }
});

test("the repeat of a start or stop under a key does not undo later requests", async () => {
  const faults: PutFaults = {};
  const world = await workspaceWorld({ wrap: withPutFaults(faults) });
  await world.create();

  const stop = await loseAnswer(world, faults, "stop");
  await world.start();
  const stopped = await stop();
  await world.advance(60_000);
  const running = await world.status();
  await world.stop();
  const start = await loseAnswer(world, faults, "start");
  await world.stop();
  const started = await start();
  await world.advance(60_000);

  expect([stopped.status, running, started.status, await world.status()]).toEqual([200, "RUNNING", 200, "STOPPED"]);
  expect((await started.json()) as unknown).toMatchObject({
    data: { environment: { status: "STOPPED" }, message: "Your workspace was stopped meanwhile" },
  });
});

/** Sends a request under a key whose answer is lost; returns a function that repeats it. */
async function loseAnswer(world: WorkspaceWorld, faults: PutFaults, action: "start" | "stop") {
  const body = action === "start" ? newWorkspace(workspaceId) : { workspaceId, cloudRegion: "centralindia" };
  const ask = () =>
    world.request("POST", `${path}/${action}`, { key: world.key, body, headers: { "Idempotency-Key": "k2" } });
  let puts = 0;
  faults.beforePut = (item) => {
    if ((item as Item).kind === "idempotency" && ++puts > 1) throw new Error("gone");
  };
  await ask();
  delete faults.beforePut;
  expect(puts).toBeGreaterThan(1);
  return ask;
}

test("one of two concurrent starts runs with its own settings, and the other is refused", async () => {
  const world = await workspaceWorld();
  await world.create();
  await world.stop();

  const answers = await Promise.all([world.start({ baseImage: "python" }), world.start({ baseImage: "rust" })]);

  const [first] = answers.filter(({ status }) => status === 200);
  expect(answers.filter((answer) => answer !== first)).toEqual([refused(409, exists)]);
  expect(first?.body.data.environment.baseImage).toBe(world.head().labels.baseImage);
});

test("the answer of a create or start reports a stop during its wait", async () => {
  const world = await workspaceWorld({ nodes: [] });
  const stopWhile = async (status: string) => {
    for (let n = 0; n < 100 && (await world.status()) !== status; n++) await world.clock.sleep(100);
    return world.stop();
  };

  const [created] = await Promise.all([world.create(), stopWhile("CREATING")]);
  const [started] = await Promise.all([world.start(), stopWhile("STARTING")]);

  expect([created.status, created.body.data.message, created.body.data.environment.status]).toEqual([
    ...[201, "Your development environment was stopped meanwhile", "STOPPED"],
  ]);
  expect([started.status, started.body.data.message]).toEqual([200, "Your workspace was stopped meanwhile"]);
});

test("the repeat of a start that had no effect is refused if another request has started the workspace", async () => {
  const faults: PutFaults = {};
  const world = await workspaceWorld({ wrap: withPutFaults(faults) });
  await world.create();
  await world.stop();
  faults.afterPut = () => {
    throw new Error("gone");
  };
  const body = newWorkspace(workspaceId);
  const sent = { key: world.key, body, headers: { "Idempotency-Key": "k1" } };
  await world.request("POST", `${path}/start`, sent);
  delete faults.afterPut;
  expect((await world.start({ baseImage: "python" })).status).toBe(200);

  const again = await world.request("POST", `${path}/start`, sent);

  expect([again.status, (await again.json()) as unknown]).toEqual([409, refused(409, exists).body]);
});
