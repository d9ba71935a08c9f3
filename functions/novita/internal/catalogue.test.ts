import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { plainInstance } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { loadCatalogue } from "./catalogue.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-catalogue-"));
  file = join(directory, "catalogue.json");
});

afterEach(() => rmSync(directory, { recursive: true }));

const ownValue = {
  products: [{ name: "Small", instanceType: "g4dn.2xlarge", gpus: 1 }],
  templates: [{ id: "107672", image: "ubuntu", command: "sleep infinity", ports: [{ port: 22, kind: "ssh" }] }],
  regions: ["HOME-01"],
};

test("the built-in catalogue has the documented product, template and regions", () => {
  const { products, templates, regions } = loadCatalogue({ catalogueFile: undefined });

  expect(products.find("RTX 4090 24GB")).toMatchObject({ instanceType: "g5.12xlarge", gpus: 8 });
  expect(templates.find("pytorch-jupyter")?.ports.map(({ port }) => port)).toEqual([22, 8888]);
  expect([regions[0], regions.length]).toEqual(["CN-HK-01", 8]);
});

test("a catalogue file replaces it, is read once, and may give a template's text as a number", async () => {
  writeFileSync(file, JSON.stringify(ownValue));
  const world = await httpWorld({ settings: { catalogueFile: file } });
  rmSync(file);
  const key = await world.login();
  const ask = async (body: object) => (await world.request("POST", "/api/instances", { key, body })).status;

  const statuses = [
    await ask({ name: "a", productName: "Small", templateId: 107672 }),
    await ask({ name: "a", productName: "Small", templateId: 107672, gpuNum: 2 }),
    await ask({ name: "a", productName: "Small", templateId: 107672, region: "CN-HK-01" }),
    await ask(plainInstance),
  ];

  expect(statuses).toEqual([201, 400, 400, 400]);
});

test.each([
  ["{", /no JSON/],
  ["{}", /products: .*\n {2}templates: .*\n {2}regions: /],
  [
    JSON.stringify({ ...ownValue, products: [{ name: "x", instanceType: "c7i.8xlarge", gpus: 1 }] }),
    /a machine with GPUs/,
  ],
  [
    JSON.stringify({ ...ownValue, templates: [ownValue.templates[0], ownValue.templates[0]] }),
    /must not name a template twice/,
  ],
  [JSON.stringify({ ...ownValue, regions: [] }), /regions/],
  [
    JSON.stringify({ ...ownValue, templates: [{ ...ownValue.templates[0], image: "docker://ubuntu" }] }),
    /templates\.0\.image: Image must not begin with a scheme/,
  ],
])("an invalid file fails the start with all of its problems: %s", async (text, words) => {
  writeFileSync(file, text);

  const starting = httpWorld({ settings: { catalogueFile: file } });

  await expect(starting).rejects.toThrow(words);
  await expect(starting).rejects.toThrow(file);
});

test("a missing file is reported with its name", () => {
  expect(() => loadCatalogue({ catalogueFile: file })).toThrow(
    `Bad catalogue ${file} (NOVITA_CATALOGUE): it cannot be read`,
  );
});
