import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { createPlaceholders } from "./placeholder.ts";

it("a placeholder refuses a port that another program has taken", async () => {
  const otherServer = createServer().listen(0, "127.0.0.1");
  await once(otherServer, "listening");
  const { port: local } = otherServer.address() as { readonly port: number };
  const placeholders = createPlaceholders("busybox");
  const ports = [{ port: 8080, kind: "http", local, hasPlaceholder: true }] as const;

  await expect(placeholders.open(ports)).rejects.toMatchObject({ code: "EADDRINUSE" });

  otherServer.close();
  await once(otherServer, "close");
  await placeholders.open(ports);
  expect(await (await fetch(`http://127.0.0.1:${local}/`)).text()).toContain("A placeholder");
  placeholders.close();
});
