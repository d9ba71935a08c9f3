import { afterAll, expect, test } from "vitest";
import { startDynamoDb } from "#tests/aws/dynamodb.ts";
import { startSqs } from "#tests/aws/sqs.ts";
import { awsStores } from "#tests/aws/stores.ts";
import { fromConsole, makeWebCode, openBrowser } from "#tests/fixtures/browser.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const stores = awsStores(await startDynamoDb(), await startSqs());

afterAll(() => stores.stop());

test("on DynamoDB, of 20 simultaneous requests with one code one opens a session, which can be signed out", async () => {
  const world = await httpWorld(await stores.open());
  const key = await world.login();
  const code = await makeWebCode(world, key);
  const open = async () =>
    (await world.request("POST", "/v1/web/sessions", { body: { code }, headers: fromConsole })).status;

  const statuses = await Promise.all(Array.from({ length: 20 }, open));
  const browser = await openBrowser(world, key);
  const before = await world.request("GET", "/v1/me", { headers: browser });
  const closed = await world.request("DELETE", "/v1/web/sessions", { headers: browser });
  const after = await world.request("GET", "/v1/me", { headers: browser });

  expect(statuses.toSorted()).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
  expect([before.status, closed.status, after.status]).toEqual([200, 200, 401]);
});
