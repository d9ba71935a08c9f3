import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { IdentityRefused } from "#core/problem.ts";
import { type LocalIdentity, localIdentities } from "#local/identity/identities.ts";
import { type Sts, startSts } from "#local/identity/sts.ts";
import { identityConformance } from "#tests/conformance/identity.ts";
import { signIdentityRequest, stsIdentity } from "./identity.ts";

const region = "us-east-1";
let home: string;
let developer: LocalIdentity;
let sts: Sts;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-identity-"));
  [developer] = localIdentities(home);
  sts = await startSts({ identities: [developer] });
});

afterAll(async () => {
  await sts.stop();
  rmSync(home, { recursive: true });
});

describe("the identity on STS", () => {
  identityConformance(async () => ({
    identity: stsIdentity({ endpoint: sts.endpoint, region }),
    known: developer,
    sign: (credentials) => signIdentityRequest(credentials, { endpoint: sts.endpoint, region }),
  }));
});

describe("a misbehaving STS", () => {
  let server: Server;
  let calls: { headers: Record<string, unknown>; body: string }[];

  async function serve(answer: RequestListener): Promise<string> {
    calls = [];
    server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += String(chunk);
      calls.push({ headers: request.headers, body });
      answer(request, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const xml = "<Account>000000000000</Account><Arn>arn:aws:sts::000000000000:assumed-role/R/s</Arn>";

  it("is retried after a fault, and throttling is one", async () => {
    const endpoint = await serve((_, response) => {
      if (calls.length === 1) response.writeHead(503).end();
      if (calls.length === 2) response.writeHead(400).end("<Code>Throttling</Code>");
      if (calls.length === 3) response.end(xml);
    });

    const caller = await stsIdentity({ endpoint, region }).callerOfCredentials(developer);

    expect(caller.account).toBe("000000000000");
    expect(calls).toHaveLength(3);
  });

  it("is called three times at most, and its failure is not a refusal", async () => {
    const endpoint = await serve((_, response) => response.writeHead(500).end("<Code>InternalFailure</Code>"));

    const error = await stsIdentity({ endpoint, region })
      .callerOfCredentials(developer)
      .catch((reason: unknown) => reason);

    expect(error).not.toBeInstanceOf(IdentityRefused);
    expect(String(error)).toBe("Error: STS answered 500");
    expect(calls).toHaveLength(3);
  });

  it("is called once when it refuses", async () => {
    const endpoint = await serve((_, response) => response.writeHead(403).end("<Code>ExpiredToken</Code>"));

    await expect(stsIdentity({ endpoint, region }).callerOfCredentials(developer)).rejects.toThrow("ExpiredToken");

    expect(calls).toHaveLength(1);
  });

  it("cannot redirect", async () => {
    const endpoint = await serve((_, response) => response.writeHead(307, { location: sts.endpoint }).end());

    await expect(stsIdentity({ endpoint, region }).callerOfCredentials(developer)).rejects.toThrow("answered 307");
  });

  it("may answer at most 64 KiB", async () => {
    const endpoint = await serve((_, response) => response.end(xml + " ".repeat(70_000)));

    await expect(stsIdentity({ endpoint, region }).callerOfCredentials(developer)).rejects.toThrow("64 KiB");
  });

  it("may answer in JSON", async () => {
    const result = { Account: "000000000000", Arn: "arn:aws:sts::000000000000:assumed-role/R/s", UserId: "u" };
    const answer = { GetCallerIdentityResponse: { GetCallerIdentityResult: result } };
    const endpoint = await serve((_, response) => response.end(JSON.stringify(answer)));

    const caller = await stsIdentity({ endpoint, region }).callerOfCredentials(developer);

    expect(caller).toEqual({ account: result.Account, arn: result.Arn });
  });

  it("receives only the headers that a signed request needs, and the host of the URL", async () => {
    const endpoint = await serve((_, response) => response.end(xml));
    const signed = await signIdentityRequest(developer, { endpoint, region, headers: { "x-berth-server-id": "b" } });
    const headers = {
      ...signed.headers,
      Host: "elsewhere",
      Cookie: "c=1",
      "X-Forwarded-For": "1.1.1.1",
      "X-Api-Key": "k",
    };

    await stsIdentity({ endpoint: sts.endpoint, region }).callerOfRequest({ ...signed, headers });

    const [call] = calls;
    expect(call?.body).toBe(signed.body);
    expect(call?.headers).toMatchObject({
      authorization: signed.headers.authorization,
      host: new URL(endpoint).host,
      "x-berth-server-id": "b",
      "x-amz-security-token": developer.sessionToken,
    });
    const passed = Object.keys(call?.headers ?? {});
    expect(passed.filter((name) => ["cookie", "x-forwarded-for", "x-api-key"].includes(name))).toEqual([]);
  });
});
