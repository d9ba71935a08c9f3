import { afterEach, expect, test } from "vitest";
import { Berth } from "./berth.ts";
import { openServer, type ServerFixture } from "./server-fixture.ts";

let server: ServerFixture | undefined;
afterEach(() => server?.close());

type List = readonly [field: string, list: (berth: Berth) => AsyncIterable<unknown>, nthItem: (n: number) => object];

const lists: Readonly<Record<string, List>> = {
  "jobs.list": ["jobs", ({ jobs }) => jobs.list(), (n) => ({ job_id: `${n}` })],
  environments: ["environments", (berth) => berth.environments(), (n) => ({ api: "dev8", id: `${n}` })],
  "admin.jobs": ["jobs", ({ admin }) => admin.jobs(), (n) => ({ user_id: "ada", job_id: `${n}` })],
  "admin.nodes": ["nodes", ({ admin }) => admin.nodes(), (n) => ({ node: `${n}` })],
  "admin.users": ["users", ({ admin }) => admin.users(), (n) => ({ username: `${n}` })],
  "admin.audit": ["entries", ({ admin }) => admin.audit(), (n) => ({ id: `${n}` })],
};

test.each(Object.entries(lists))(
  "%s yields each item once while items are created between its requests",
  async (_, [field, list, nthItem]) => {
    const items = Array.from({ length: 150 }, (_, n) => nthItem(n));
    server = await openServer(({ path }) => {
      const query = new URL(path, "http://berth").searchParams;
      const [offset, limit] = [Number(query.get("offset")), Number(query.get("limit"))];
      const page = items.slice(offset, offset + limit);
      items.unshift(nthItem(items.length));
      return { body: { [field]: page } };
    });

    const yielded: unknown[] = [];
    for await (const item of list(new Berth({ url: server.url }))) yielded.push(item);

    expect(yielded).toEqual(Array.from({ length: 150 }, (_, n) => nthItem(n)));
  },
);

test.each([
  ["full", 100],
  ["short", 99],
])("a list goes on after a %s page until its total, and no further", async (_, length) => {
  const offsets: (string | null)[] = [];
  server = await openServer(({ path }) => {
    offsets.push(new URL(path, "http://berth").searchParams.get("offset"));
    const page = Array.from({ length }, (_, n) => ({ job_id: `${offsets.length}-${n}` }));
    return { body: { jobs: page, total: 200 } };
  });

  const ids = new Set<string>();
  for await (const { job_id } of new Berth({ url: server.url }).jobs.list()) ids.add(job_id);

  expect(ids.size).toBe(2 * length);
  expect(offsets).toEqual(["0", "100"]);
});
