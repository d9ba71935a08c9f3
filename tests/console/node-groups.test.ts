import { expect, test } from "vitest";
import { noBrowser, openConsole, violations } from "./console-fixture.ts";

const usual = {
  instance_types: ["p5.48xlarge"],
  zones: ["us-east-2a", "us-east-2b"],
  min: 0,
  desired: 1,
  max: 4,
  active: true,
  admits_jobs: true,
  lacks: null,
  lacks_in: [],
  starts_at: null,
  ends_at: null,
};

test("an operator reads what node groups lack and where, and when their blocks start and end", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole({ ADMIN_USERS: "developer" });
  const body = await call<object>("GET", "/v1/admin/pools");
  const page = await open("/", { viewport: { width: 320, height: 640 }, locale: "en-GB", timezoneId: "UTC" });
  // A local stack has no node groups.
  const groups = [
    { ...usual, node_group: "open" },
    { ...usual, node_group: "short", lacks: "machines", lacks_in: ["us-east-2a"] },
    { ...usual, node_group: "full", lacks: "quota" },
    { ...usual, node_group: "block", starts_at: "2100-01-02T08:00:00Z", ends_at: "2100-01-03T08:00:00Z" },
    { ...usual, node_group: "over", starts_at: "2020-01-02T08:00:00Z", ends_at: "2020-01-03T08:00:00Z" },
    {
      ...usual,
      node_group: "<b>odd</b>",
      active: false,
      instance_types: ["a", "b"],
      zones: [],
      min: null,
      desired: null,
    },
  ];
  const node_groups = {
    groups,
    read_at: "2026-01-20T18:18:00Z",
    asked_at: "2026-01-20T18:28:00Z",
    error: "Throttling",
  };
  await page.route("**/v1/admin/pools*", (route) => route.fulfill({ json: { ...body, node_groups } }));
  await page.getByRole("link", { name: "Operation" }).click();
  const table = page.getByRole("table", { name: "Node groups" });
  await table.waitFor();
  const cells: string[][] = [];
  for (const row of await table.locator("tbody tr").all()) {
    cells.push((await row.locator("td").allInnerTexts()).map((text) => text.replaceAll("\n", " ")));
  }

  const [machines, zones, size] = ["p5.48xlarge", "us-east-2a, us-east-2b", "1 wanted, at least 0, at most 4"];
  expect(cells).toEqual([
    ["open", machines, zones, size, "open"],
    ["short", machines, zones, size, "EC2 lacks machines in us-east-2a"],
    ["full", machines, zones, size, "a quota is used up in all of its zones"],
    [
      "block",
      machines,
      zones,
      size,
      expect.stringMatching(/^not open yet ?its Capacity Block starts at .* ?its .* ends at /),
    ],
    ["over", machines, zones, size, expect.stringMatching(/^over ?its Capacity Block started at .* ?its .* ended at /)],
    ["<b>odd</b>", "a, b", "unknown", "at most 4", expect.stringMatching(/^not active; gets no new machine/)],
  ]);
  await page.getByText(/^Node groups read at .*; EKS: Throttling/).waitFor();
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(320);
  expect(await violations(page)).toEqual([]);
  expect(faults()).toEqual([]);
});
