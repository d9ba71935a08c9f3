import { afterEach, expect, test } from "vitest";
import { Berth, UnreachableError } from "./index.ts";
import { openServer, type ServerFixture } from "./server-fixture.ts";

let server: ServerFixture | undefined;
afterEach(() => server?.close());

type Send = (berth: Berth) => Promise<unknown>;

/** Calls that would change something once more, or be refused, if the server carried them out twice. */
const keyed: Readonly<Record<string, Send>> = {
  "jobs.submit": ({ jobs }) => jobs.submit({ image: "ubuntu:24.04", instance_type: "c7i.8xlarge" }),
  "jobs.extend": ({ jobs }) => jobs.extend("9e41", 1),
  "jobs.addUser": ({ jobs }) => jobs.addUser("9e41", { github_username: "octocat" }),
  "disks.create": ({ disks }) => disks.create({ disk_name: "d" }),
  "disks.delete": ({ disks }) => disks.delete("d"),
  "disks.undelete": ({ disks }) => disks.undelete("d"),
  "disks.rename": ({ disks }) => disks.rename("d", "e"),
  "disks.snapshot": ({ disks }) => disks.snapshot("d"),
  "disks.restore": ({ disks }) => disks.restore("d", { snapshot_id: "s", new_name: "e" }),
  "webhooks.resend": ({ webhooks }) => webhooks.resend("w"),
  "admin.setDrained": ({ admin }) => admin.setDrained("h100", false, { node: "n" }),
};

const requestedOperation = {
  disk_name: "d",
  operation_id: "o",
  action: "create",
  requested_at: "2026-01-20T18:00:00Z",
  message: "",
} as const;

/** Calls that set a state or read, so that a second one changes nothing. */
const repeatable: Readonly<Record<string, Send>> = {
  "jobs.estimate": ({ jobs }) => jobs.estimate({ image: "ubuntu:24.04", instance_type: "c7i.8xlarge" }),
  "jobs.get": ({ jobs }) => jobs.get("9e41"),
  "jobs.getIfChanged": ({ jobs }) => jobs.getIfChanged("9e41", undefined),
  "jobs.cancel": ({ jobs }) => jobs.cancel("9e41"),
  "jobs.setJupyter": ({ jobs }) => jobs.setJupyter("9e41", true),
  "jobs.openTerminal": ({ jobs }) => jobs.openTerminal("9e41"),
  "disks.get": ({ disks }) => disks.get("d"),
  "disks.content": ({ disks }) => disks.content("d"),
  "disks.operation": ({ disks }) => disks.operation(requestedOperation),
  "web.createCode": ({ web }) => web.createCode(),
  "web.showCode": ({ web }) => web.showCode("c"),
  "admin.cancelJob": ({ admin }) => admin.cancelJob("9e41"),
  "admin.orphans": ({ admin }) => admin.orphans(),
  "admin.pools": ({ admin }) => admin.pools(),
  "admin.deliveries": ({ admin }) => admin.deliveries(),
  "admin.state": ({ admin }) => admin.state(),
  "admin.setPaused": ({ admin }) => admin.setPaused(true),
  "admin.setDisabled": ({ admin }) => admin.setDisabled("u", true),
  "admin.setNodeGone": ({ admin }) => admin.setNodeGone("n", true),
};

/** Calls that the API gives no idempotency key. */
const sentOnce: Readonly<Record<string, Send>> = {
  "keys.revoke": ({ keys }) => keys.revoke("abcd1234"),
  "keys.rotate": ({ keys }) => keys.rotate(),
  "web.openSession": ({ web }) => web.openSession("c"),
  "web.closeSession": ({ web }) => web.closeSession(),
};

/** Methods that send nothing but the calls above and reads. */
const composed = ["jobs.act", "jobs.wait", "jobs.logs", "disks.settle", "disks.snapshots"];
const iterators = [
  "jobs.list",
  "disks.list",
  "keys.list",
  "webhooks.list",
  "admin.jobs",
  "admin.nodes",
  "admin.audit",
  "admin.users",
];

test("every method of the SDK is in one of these tables", () => {
  const berth = new Berth({ url: "http://127.0.0.1" });
  const methods = (["jobs", "disks", "keys", "web", "webhooks", "admin"] as const).flatMap((noun) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(berth[noun])).map((name) => `${noun}.${name}`),
  );

  const tables = [keyed, repeatable, sentOnce].flatMap(Object.keys);
  expect([...tables, ...composed, ...iterators].toSorted()).toEqual(
    methods.filter((name) => !name.endsWith(".constructor")).toSorted(),
  );
});

/** A server that carries each request out, unless it knows its key, and cuts the connection before the first answer. */
async function forgetfulServer() {
  const done = new Set<string>();
  server = await openServer(({ headers }) => {
    const key = headers["idempotency-key"];
    done.add(typeof key === "string" ? key : `without a key: ${done.size}`);
    return { hangUp: server?.seen.length === 1 };
  });
  return { berth: new Berth({ url: server.url }), done, seen: server.seen };
}

test.each(Object.entries(keyed))(
  "%s is executed once if its answer is lost, and again for a second call",
  async (_, send) => {
    const { berth, done, seen } = await forgetfulServer();

    await send(berth);
    await send(berth);

    expect(seen).toHaveLength(3);
    expect(done.size).toBe(2);
  },
);

test.each(Object.entries(repeatable))("%s is sent again without a key", async (_, send) => {
  const { berth, seen } = await forgetfulServer();

  await send(berth);

  expect(seen.map(({ headers }) => headers["idempotency-key"])).toEqual([undefined, undefined]);
});

test.each(Object.entries(sentOnce))("%s is sent once, and its lost answer is an error", async (_, send) => {
  const { berth, seen } = await forgetfulServer();

  await expect(send(berth)).rejects.toThrow(UnreachableError);

  expect(seen).toHaveLength(1);
});
