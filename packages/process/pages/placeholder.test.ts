import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { placeholdersOf } from "./placeholder.ts";

it("refuses a port that somebody else has taken, whose visitors would be led to them", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port: local } = other.address() as { readonly port: number };
  const placeholders = placeholdersOf("busybox");
  const ports = [{ port: 8080, kind: "http", local, hasPlaceholder: true }] as const;

  await expect(placeholders.open(ports)).rejects.toMatchObject({ code: "EADDRINUSE" });

  other.close();
  await once(other, "close");
  await placeholders.open(ports);
  expect(await (await fetch(`http://127.0.0.1:${local}/`)).text()).toContain("A placeholder");
  placeholders.close();
});
