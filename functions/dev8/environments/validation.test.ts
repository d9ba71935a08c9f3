import { describe, expect, test } from "vitest";
import { newWorkspace } from "#tests/fixtures/catalog-requests.ts";
import { workspaceWorld } from "#tests/worlds/workspace-world.ts";

const path = "/api/v1/environments";
const good = newWorkspace("test-workspace-001");
const required = "workspaceId is required (UUID from database)";
const uuid = "workspaceId must be a valid UUID";
const world = await workspaceWorld();

async function getRefusal(method: string, at: string, body: unknown) {
  const response = await world.request(method, at, { key: world.key, body });
  return { status: response.status, text: await response.text() };
}

function refused(message: string) {
  const text = JSON.stringify({ success: false, error: "Invalid Request", message, code: "ERR_400" });
  return { status: 400, text };
}

const rows: readonly [object, string][] = [
  [{ workspaceId: undefined }, required],
  [{ workspaceId: null }, required],
  [{ workspaceId: "" }, required],
  [{ workspaceId: "short" }, uuid],
  [{ workspaceId: "x".repeat(9) }, uuid],
  [{ workspaceId: "x".repeat(64) }, uuid],
  [{ workspaceId: "-starts-with-a-dash" }, uuid],
  [{ workspaceId: "test workspace 001" }, uuid],
  [{ workspaceId: "test-workspace-001\n" }, uuid],
  [{ workspaceId: "täst-workspace-001" }, uuid],
  [{ workspaceId: 1234567890 }, uuid],
  [{ workspaceId: ["test-workspace-001"] }, uuid],
  [{ name: undefined }, "name is required"],
  [{ name: "" }, "name is required"],
  [{ name: null }, "name is required"],
  [{ name: 1 }, "name must be a string"],
  [{ name: "x".repeat(129) }, "name is too long"],
  [{ name: "a\u0000b" }, "name must not contain control characters"],
  [{ userId: 1 }, "userId must be a string"],
  [{ userId: "x".repeat(129) }, "userId is too long"],
  [{ cloudRegion: undefined }, "cloudRegion is required"],
  [{ cloudRegion: "" }, "cloudRegion is required"],
  [{ cloudRegion: 1 }, "cloudRegion must be a string"],
  [{ cloudRegion: "mars" }, "region mars is not available"],
  ...[undefined, null, 0, 0.5, 4.1, "2", true].map((cpuCores): [object, string] => [
    { cpuCores },
    "cpuCores must be between 1 and 4",
  ]),
  ...[undefined, null, 1, 16.5, "4", {}].map((memoryGB): [object, string] => [
    { memoryGB },
    "memoryGB must be between 2 and 16",
  ]),
  ...[undefined, null, 9, 101, "20"].map((storageGB): [object, string] => [
    { storageGB },
    "storageGB must be between 10 and 100",
  ]),
  [{ storageGB: 20.5 }, "storageGB must be an integer"],
  [{ baseImage: "cobol" }, "baseImage cobol is not available"],
  [{ baseImage: "x".repeat(1000) }, `baseImage ${"x".repeat(64)} is not available`],
  [{ githubToken: 1 }, "githubToken must be a string"],
  [{ geminiApiKey: ["x"] }, "geminiApiKey must be a string"],
  [{ sshPublicKey: "x".repeat(16_385) }, "sshPublicKey is too long"],
  [{ gitUserName: "ä".repeat(8_193) }, "gitUserName is too long"],
  [{ openaiApiKey: "sk-\u0000" }, "openaiApiKey must not contain control characters"],
];

describe.each([path, `${path}/start`])("POST %s", (at) => {
  test.each(rows)("refuses %j", async (changed, message) => {
    expect(await getRefusal("POST", at, { ...good, ...changed })).toEqual(refused(message));
  });

  test("reports only the first fault in the documented order", async () => {
    const bad = {
      githubToken: 1,
      cloudProvider: "x",
      baseImage: "cobol",
      storageGB: 0,
      memoryGB: 0,
      cpuCores: 0,
      cloudRegion: "",
      userId: "",
      name: "",
      workspaceId: "short",
    };
    const mended = [
      ["workspaceId", uuid],
      ["name", "name is required"],
      ...(at === path ? [] : [["userId", "userId is required"]]),
      ["cloudRegion", "cloudRegion is required"],
      ["cpuCores", "cpuCores must be between 1 and 4"],
      ["memoryGB", "memoryGB must be between 2 and 16"],
      ["storageGB", "storageGB must be between 10 and 100"],
      ["baseImage", "baseImage cobol is not available"],
      ["cloudRegion", "region mars is not available"],
    ] as const;
    const body: Record<string, unknown> = at === path ? { ...bad, userId: undefined } : { ...bad };
    const seen: string[] = [];

    for (const [name] of mended) {
      seen.push(JSON.parse((await getRefusal("POST", at, body)).text).message);
      const isFirstRegion = name === "cloudRegion" && body.cloudRegion === "";
      body[name] = isFirstRegion ? "mars" : good[name as keyof typeof good];
    }
    seen.push(JSON.parse((await getRefusal("POST", at, body)).text).message);

    expect(seen).toEqual([...mended.map(([, message]) => message), "githubToken must be a string"]);
  });

  test("refuses the bad example of the document with the printed answer", async () => {
    expect(await getRefusal("POST", at, { workspaceId: "short", name: "Test" })).toEqual(refused(uuid));
  });

  test.each([undefined, "", "{}", "// nothing\n{}"])(
    "treats the empty body %j like one without an id",
    async (body) => {
      expect(await getRefusal("POST", at, body)).toEqual(refused(required));
    },
  );

  test.each(["{", "[]", '"text"', "null", '{"workspaceId":"test-workspace-001",}'])(
    "refuses %j as JSON",
    async (body) => {
      const message = "Please check your JSON payload";

      expect(await getRefusal("POST", at, body)).toEqual({
        status: 400,
        text: JSON.stringify({ success: false, error: "Invalid request body", message, code: "ERR_400" }),
      });
    },
  );
});

test("a start requires its user and image, and a create has a default for both", async () => {
  const start = `${path}/start`;

  expect(await getRefusal("POST", start, { ...good, userId: undefined })).toEqual(refused("userId is required"));
  expect(await getRefusal("POST", start, { ...good, baseImage: undefined })).toEqual(refused("baseImage is required"));
  expect(await getRefusal("POST", path, { ...good, cloudProvider: "IBM" })).toEqual(
    refused("cloudProvider must be one of: AZURE, AWS, GCP"),
  );
});

test.each([
  ["POST", `${path}/stop`],
  ["DELETE", path],
])("%s %s requires only an id and a region, in that order", async (method, at) => {
  const seen = [
    await getRefusal(method, at, undefined),
    await getRefusal(method, at, { workspaceId: "short" }),
    await getRefusal(method, at, { workspaceId: good.workspaceId, force: 1 }),
    await getRefusal(method, at, { workspaceId: good.workspaceId, cloudRegion: "mars", force: 1 }),
  ];

  expect(seen).toEqual([required, uuid, "cloudRegion is required", "region mars is not available"].map(refused));
});

test("a force that is not a boolean is refused last", async () => {
  const body = { workspaceId: good.workspaceId, cloudRegion: "eastus" };

  for (const force of ["true", 1, [null]]) {
    expect(await getRefusal("DELETE", path, { ...body, force })).toEqual(refused("force must be a boolean"));
  }
});

test("a body of 2 MB and malformed queries do no harm", async () => {
  const huge = await getRefusal("POST", path, { ...good, name: "x".repeat(2 * 1024 * 1024) });
  const broken = await getRefusal("DELETE", `${path}?a=%zz&b=%&=`, { workspaceId: "short" });

  expect(huge).toEqual({
    status: 413,
    text: '{"success":false,"error":"Payload Too Large","message":"Request body too large","code":"ERR_413"}',
  });
  expect(broken).toEqual(refused(uuid));
});
