import { expect, test } from "vitest";
import { bodySchema } from "#http/endpoint.ts";
import { ownMessagesOnly } from "#http/request/field-problems.ts";
import { fieldNames } from "#http/schema.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const world = await httpWorld();
const bodies = world.endpoints.flatMap((endpoint) => {
  const schema = bodySchema(endpoint, world.ctx.settings);
  return schema ? [{ name: `${endpoint.method.toUpperCase()} ${endpoint.path}`, schema }] : [];
});
const fields = bodies.flatMap(({ name, schema }) => fieldNames(schema).map((field) => ({ name, schema, field })));
const most = 100;
const getMap = (entries: number) => Object.fromEntries(Array.from({ length: entries }, (_, n) => [`A${n}`, null]));
const large = getMap(60_000);

test.each(fields)("$name reads few of the 60,000 entries of its $field", ({ schema, field }) => {
  let reads = 0;
  const map = new Proxy(large, {
    get(target, name) {
      reads += Object.hasOwn(target, name) ? 1 : 0;
      return Reflect.get(target, name);
    },
  });

  const { error } = schema.safeParse({ [field]: map }, ownMessagesOnly);

  expect(reads).toBeLessThanOrEqual(most);
  expect(error?.issues.length ?? 0).toBeLessThanOrEqual(most);
});

test("a map with the maximum number of entries is read completely", () => {
  const maps = fields.filter(({ field }) => ["env_vars", "env", "iam_request_headers"].includes(field));

  const found = maps.map(({ schema, field }) => {
    const { error } = schema.safeParse({ [field]: getMap(most) }, ownMessagesOnly);
    return error?.issues.filter(({ path }) => path[0] === field).length;
  });

  expect(found).toEqual([most, most, most, most]);
});
