import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { accessLines } from "./access-plan.ts";
import type { Prices } from "./costs.ts";

const { gateway: prices } = JSON.parse(readFileSync(new URL("prices.json", import.meta.url), "utf8")) as Prices;

test("the plan of a stage with a gateway names its hosts, and prices with their sources", () => {
  const lines = accessLines(
    { access: "gateway", gateway: { ssh: "ssh.berth.dev", pages: "berth.dev", isPrivate: false }, domain: undefined },
    prices,
  );

  expect(lines.slice(0, 5)).toEqual([
    "ACCESS=gateway: SSH and pages, by the gateway's load balancer. Point these DNS names at it:",
    "  *.berth.dev  pages",
    "  ssh.berth.dev  SSH, which the first name includes",
    "GATEWAY_ACCESS=public, the default: the internet reaches it.",
    "Its costs, a month of each unit:",
  ]);
  const costs = lines.slice(5).join("\n");
  for (const word of ["load balancer", "capacity units", "between zones", "public IPv4"]) expect(costs).toContain(word);
  for (const { usd, source } of prices)
    expect([usd > 0, source.startsWith("https://aws.amazon.com/")]).toEqual([true, true]);
});

test("the plan of a private gateway says who reaches it, and has no price of a public one", () => {
  const gateway = { ssh: "ssh.berth.dev", pages: "berth.dev", isPrivate: true };
  const lines = accessLines({ access: "gateway", gateway, domain: undefined }, prices);

  expect(lines).toContain("GATEWAY_ACCESS=private: only networks that reach the cluster's network reach it.");
  expect(lines.join("\n")).toContain("load balancer of the gateway");
  expect(lines.join("\n")).not.toMatch(/public IPv4|the internet/);
});

test("a name outside of the pages' domain is a DNS name of its own", () => {
  const lines = accessLines(
    { access: "gateway", gateway: { ssh: "in.example", pages: "berth.dev", isPrivate: false }, domain: undefined },
    prices,
  );

  expect(lines).toContain("  in.example  SSH");
});

test.each([
  ["none", "ACCESS=none: nobody gets in. Each job with keys, users or Jupyter says so"],
  [
    "nodeport",
    "ACCESS=nodeport: SSH at a port of the job's node, from networks that reach nodes. No load balancer, no DNS names, no pages",
  ],
] as const)("the plan of a stage with ACCESS=%s says that it needs no load balancer", (access, line) => {
  expect(accessLines({ access, gateway: undefined, domain: undefined }, prices)).toEqual([line]);
});

test.each([
  ["berth.dev", "berth.dev", true],
  ["preview.berth.dev", "berth.dev", true],
  ["berth.dev", "console.berth.dev", true],
  ["Preview.Berth.dev", "console.berth.dev", true],
  ["berth-pages.dev", "berth.dev", false],
  ["preview.firm.co.uk", "berth.firm.co.uk", true],
  ["pages.co.uk", "berth.co.uk", false],
  ["berth.dev", undefined, false],
])("pages below %s are same-site with a console at %s: %s", (pages, name, isSameSite) => {
  const domain = name === undefined ? undefined : { name, certificateArn: "arn" };
  const gateway = { ssh: `ssh.${pages}`, pages, isPrivate: false };
  const lines = accessLines({ access: "gateway", gateway, domain }, prices);

  expect(lines.filter((line) => line.startsWith("WARNING"))).toEqual(
    isSameSite ? [`WARNING: pages of jobs below ${pages} are same-site with the console at ${name}.`] : [],
  );
});
