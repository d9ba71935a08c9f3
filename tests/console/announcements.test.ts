import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { noBrowser, openConsole } from "./console-fixture.ts";

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge", name: "runs" };

test("screen readers hear what is announced while a dialog is open, and after it", async ({ skip }) => {
  skip(noBrowser !== undefined, noBrowser);
  const { open, call, faults } = await openConsole();
  await call("POST", "/v1/jobs/submit", job);
  const page = await open("/", { permissions: ["clipboard-write"] });
  const row = page.getByRole("row", { name: /^runs.*active/ });
  await row.getByRole("button", { name: "Extend…" }).click();
  const dialog = page.getByRole("dialog");
  const before = await readStatuses(page);
  await dialog.getByRole("button", { name: /^Copy/ }).click();
  await dialog.getByRole("button", { name: "Copied" }).or(dialog.getByText("Copied").first()).first().waitFor();
  await expect.poll(() => readStatuses(page)).toContain("Copied");
  await dialog.getByRole("button", { name: "Extend", exact: true }).click();
  await expect.poll(() => readStatuses(page)).toContain("Extend: done");

  expect(before).not.toContain("Copied");
  expect(faults()).toEqual([]);
});

interface Node {
  readonly nodeId: string;
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
  readonly childIds?: readonly string[];
}

/** Returns the texts of the live regions that the browser shows to screen readers. */
async function readStatuses(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = (await session.send("Accessibility.getFullAXTree")) as { nodes: readonly Node[] };
  await session.detach();
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const text = ({ role, name, childIds = [] }: Node): string =>
    role?.value === "StaticText"
      ? (name?.value ?? "")
      : childIds.map((id) => (byId.has(id) ? text(byId.get(id) as Node) : "")).join("");
  return nodes.filter(({ ignored, role }) => !ignored && role?.value === "status").map((node) => text(node).trim());
}
