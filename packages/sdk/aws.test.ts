import { afterEach, expect, test } from "vitest";
import { awsLogin } from "./aws.ts";

const credentials = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "secret" };

let signedIds: unknown[] = [];
afterEach(() => {
  signedIds = [];
});

/** A deployment that claims a server id, and notes the ids of the signed requests that it gets. */
function claiming(serverId: unknown): typeof fetch {
  return async (input, init) => {
    if (String(input).endsWith("/.well-known/berth")) {
      const login = { path: "/v1/auth/aws-login", server_id: serverId, sts_origins: [], region: null };
      return Response.json({ service: "berth", login });
    }
    const { iam_request_headers: headers } = JSON.parse(String(init?.body));
    signedIds.push(headers["x-berth-server-id"]);
    return Response.json({ api_key: "key" });
  };
}

test.each([
  ["https://fake.example", "berth.example"],
  ["https://fake.example", "berth-local"],
  ["https://fake.example:8443", "fake.example:443"],
  ["https://sub.berth.example", "berth.example"],
  ["https://berth.example.fake.example", "berth.example"],
  ["https://berth.example@fake.example", "berth.example"],
  ["https://127.0.0.1.fake.example", "berth.example"],
  ["https://fake.example", "a\u001B[31m"],
  ["https://fake.example", undefined],
])("nothing is signed for %s, which claims the server id %j of another deployment", async (url, claimed) => {
  const failed = awsLogin({ url, credentials, fetch: claiming(claimed) });

  await expect(failed).rejects.toMatchObject({
    code: "invalid",
    message: expect.stringMatching(/^https:\/\/\S+ claims the server id .*, so nothing is signed for it$/),
    hint: "Ask the operators for the id, and give it as serverId.",
  });
  await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining("\u001B") });
  expect(signedIds).toEqual([]);
});

test.each([
  ["https://berth.example", "berth.example"],
  ["https://BERTH.example/", "berth.example"],
  ["https://berth.example:8443", "berth.example"],
  ["https://berth.example:8443", "berth.example:8443"],
  ["http://127.0.0.1:8080", "berth-local"],
  ["http://localhost:8080", "berth.example"],
  ["http://[::1]:8080", "berth-local"],
])("a login to %s signs the server id %s that it claims", async (url, claimed) => {
  await awsLogin({ url, credentials, fetch: claiming(claimed) });

  expect(signedIds).toEqual([claimed]);
});

test("the given server id is signed, whatever the deployment claims", async () => {
  await awsLogin({ url: "https://fake.example", serverId: "prod", credentials, fetch: claiming("berth.example") });

  expect(signedIds).toEqual(["prod"]);
});
