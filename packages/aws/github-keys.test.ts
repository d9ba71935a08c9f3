import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { httpGithubKeys } from "./github-keys.ts";

describe("the keys of a GitHub user", () => {
  let server: Server;
  const names: string[] = [];

  afterEach(() => {
    server.close();
    server.closeAllConnections();
    names.length = 0;
  });

  let now = Date.parse("2026-01-01T00:00:00Z");
  async function served(listener: RequestListener) {
    server = createServer((request, response) => {
      names.push(request.url ?? "");
      listener(request, response);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return httpGithubKeys(`http://127.0.0.1:${(server.address() as AddressInfo).port}/<user>.keys`, () => now);
  }

  it("are the answer at the user's address", async () => {
    const keys = await served((_, response) => response.end("ssh-ed25519 AAAA\nssh-rsa BBBB\n"));

    expect(await keys.fetchKeys("octo-cat")).toBe("ssh-ed25519 AAAA\nssh-rsa BBBB\n");
    expect(names).toEqual(["/octo-cat.keys"]);
  });

  it("are empty for a user without keys, and undefined for an unknown user", async () => {
    const keys = await served((request, response) => {
      response.writeHead(request.url === "/nobody.keys" ? 404 : 200).end("");
    });

    expect(await keys.fetchKeys("shy")).toBe("");
    expect(await keys.fetchKeys("nobody")).toBeUndefined();
  });

  it("time out after a silence", async () => {
    const keys = await served(() => undefined);

    await expect(keys.fetchKeys("slow")).rejects.toThrow(/timeout/i);
  });

  it("time out sooner if the caller says so", async () => {
    const keys = await served(() => undefined);

    const first = await Promise.race([
      keys.fetchKeys("slow").catch(() => "after its own time"),
      keys.fetchKeys("slow", 100).catch(() => "after the caller's"),
    ]);

    expect(first).toBe("after the caller's");
  });

  it("are fetched for at most 20 requests a minute, and for the worker at any time", async () => {
    const keys = await served((_, response) => response.end(""));
    for (let n = 0; n < 20; n++) await keys.fetchKeys(`guess-${n}`, 1_500);

    await expect(keys.fetchKeys("guess-20", 1_500)).rejects.toThrow("GitHub was asked 20 times in a minute");
    expect(await keys.fetchKeys("octo-cat")).toBe("");
    now += 60_000;
    expect(await keys.fetchKeys("guess-21", 1_500)).toBe("");

    expect(names).toHaveLength(22);
    expect(names).not.toContain("/guess-20.keys");
  });

  it("are fetched for requests again after the clock was set back", async () => {
    const keys = await served((_, response) => response.end(""));
    for (let n = 0; n < 20; n++) await keys.fetchKeys("octo-cat", 1_500);

    now -= 3_600_000;

    expect(await keys.fetchKeys("octo-cat", 1_500)).toBe("");
  });

  it("time out if they arrive too slowly", async () => {
    const keys = await served((_, response) => {
      const timer = setInterval(() => response.write("ssh-rsa "), 200);
      response.once("close", () => clearInterval(timer));
    });

    await expect(keys.fetchKeys("slow")).rejects.toThrow(/timeout/i);
  });

  it("are read up to 256 KiB", async () => {
    let sent = 0;
    const keys = await served((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write("k".repeat(65_536))) sent += 65_536;
      };
      response.on("drain", more).on("error", () => undefined);
      more();
    });

    await expect(keys.fetchKeys("huge")).rejects.toThrow("more than 256 KiB");

    expect(sent).toBeLessThan(20_000_000);
  });

  it("are not fetched from a redirect", async () => {
    const keys = await served((request, response) => {
      if (request.url === "/moved.keys") response.writeHead(302, { location: "/other.keys" }).end();
      else response.end("ssh-ed25519 STOLEN\n");
    });

    await expect(keys.fetchKeys("moved")).rejects.toThrow("GitHub answered 302");
    expect(names).toEqual(["/moved.keys"]);
  });

  it.each(["../x", "a/b", "a?b", "a#b", "a%2e", "", "-a", "a--b", "a".repeat(40), "a@evil.example", "a\n"])(
    "are not fetched for the name %j",
    async (name) => {
      const keys = await served((_, response) => response.end("ssh-ed25519 AAAA\n"));

      await expect(keys.fetchKeys(name)).rejects.toThrow("That is not a GitHub user name");
      expect(names).toEqual([]);
    },
  );

  it("fail with an error when GitHub is broken", async () => {
    const keys = await served((_, response) => response.writeHead(500).end());

    await expect(keys.fetchKeys("octocat")).rejects.toThrow("GitHub answered 500");
  });
});
