import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { countEfaInterfaces, listInterfaces } from "./efa.ts";

const list = (type: string) =>
  listInterfaces(type).map(
    ({ networkCardIndex, deviceIndex, interfaceType }) => `${networkCardIndex}.${deviceIndex} ${interfaceType}`,
  );

test("a machine with one network card has EFA beside its primary interface", () => {
  expect(list("g6e.12xlarge")).toEqual(["0.0 interface", "0.1 efa-only"]);
});

test("each further network card has EFA alone", () => {
  expect(list("p4d.24xlarge")).toEqual([
    "0.0 interface",
    "0.1 efa-only",
    "1.0 efa-only",
    "2.0 efa-only",
    "3.0 efa-only",
  ]);
});

test("the first network card of a P6-B300 has no EFA", () => {
  const found = list("p6-b300.48xlarge");

  expect(found).toHaveLength(17);
  expect(found.slice(0, 2)).toEqual(["0.0 interface", "1.0 efa-only"]);
  expect(found.at(-1)).toBe("16.0 efa-only");
});

test("docs/own-cluster.md has the number of interfaces of each type", () => {
  const text = readFileSync(new URL("../../docs/own-cluster.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| (`[a-z].*`) \| (\d+) \|$/gm)];
  const documented = rows.flatMap(([, types = "", count]) =>
    [...types.matchAll(/`([^`]+)`/g)].map(([, type = ""]) => [type, Number(count)] as const),
  );

  expect(documented.length).toBeGreaterThan(10);
  for (const [type, count] of documented) expect([type, countEfaInterfaces(type)]).toEqual([type, count]);
});
