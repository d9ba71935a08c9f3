import { expect, test } from "vitest";
import { Berth } from "./berth.ts";
import { openServer } from "./server-fixture.ts";

test.each(["@elsewhere.example/v1/me", ".elsewhere.example/v1/me", "v1/me"])(
  "refuses the path %s, which would change the host that gets the key",
  async (path) => {
    const server = await openServer(() => ({}));
    const berth = new Berth({ url: server.url, key: "k".repeat(20) });

    await expect(berth.call("GET", path)).rejects.toMatchObject({ code: "invalid" });
    expect(server.seen).toEqual([]);
    server.close();
  },
);
