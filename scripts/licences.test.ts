import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as z from "zod";

/** Licences of usable packages: permissive ones, and those of tools that no bundle contains. */
const accepted = ["MIT", "Apache-2.0", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "Unlicense"];
const ofToolsAlone = ["MPL-2.0", "Python-2.0", "(MIT OR CC0-1.0)"];

/** Packages with an old form of licence field, which npm does not copy. */
const saidElsewhere: Readonly<Record<string, string>> = {
  buildcheck: "MIT",
  "cpu-features": "MIT",
  reserved: "MIT",
  ssh2: "MIT",
};

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      license: z.string().optional(),
      dev: z.boolean().optional(),
      link: z.boolean().optional(),
      version: z.string().optional(),
    }),
  ),
});
const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
});

function read(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), "utf8"));
}

test("every installed package has an accepted licence, and every shipped one a permissive licence", () => {
  const packages = Object.entries(Lock.parse(read("package-lock.json")).packages);
  const refused = packages.flatMap(([place, { license, dev = false, link = false }]) => {
    const name = place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
    const words = license ?? saidElsewhere[name] ?? "none";
    const isFine = words.split(" OR ").some((part) => accepted.includes(part)) || (dev && ofToolsAlone.includes(words));
    return isFine || link || place === "" ? [] : [`${name}: ${words}`];
  });

  expect(packages.length).toBeGreaterThan(300);
  expect(refused).toEqual([]);
});

test("every dependency has one exact version", () => {
  const versions = [
    "package.json",
    "packages/cli/package.json",
    "packages/sdk/package.json",
    "tools/openapi/package.json",
    "tools/sst/package.json",
  ].flatMap((file) => {
    const { dependencies, devDependencies } = Manifest.parse(read(file));
    return Object.entries({ ...dependencies, ...devDependencies });
  });

  expect(versions.length).toBeGreaterThan(20);
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test("an installation looks for known vulnerabilities", () => {
  const options = readFileSync(new URL("../.npmrc", import.meta.url), "utf8");

  expect(options).not.toMatch(/^\s*audit\s*=\s*(?!true\s*$)/m);
});
