import { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { apiClient } from "./client/api-client.ts";
import { answerJson, loopbackServer, selfSigned } from "./fixtures/loopback-fixture.ts";

it("a client certificate alone authenticates calls and streams, below the path of the URL", async () => {
  const { key, cert } = selfSigned();
  const seen: unknown[] = [];
  const see = ({ url, headers, socket }: IncomingMessage) => {
    seen.push([url, headers.authorization, (socket as TLSSocket).getPeerCertificate().fingerprint256]);
  };
  const sockets = new WebSocketServer({ noServer: true });
  const server = await loopbackServer(
    (request, response) => {
      see(request);
      answerJson(response, {});
    },
    { key, cert, token: async () => undefined },
    (request, socket, head) => {
      see(request);
      sockets.handleUpgrade(request, socket, head, () => undefined);
    },
  );
  const client = apiClient({ ...server.access, url: `${server.access.url}/k8s/clusters/c-1/` });

  await client.get("/api/v1/nodes");
  const socket = await client.socket("/api/v1/pods/a/exec", "v5.channel.k8s.io");
  socket.terminate();
  client.close();
  await server.close();

  const { fingerprint256 } = new X509Certificate(cert);
  expect(seen).toEqual([
    ["/k8s/clusters/c-1/api/v1/nodes", undefined, fingerprint256],
    ["/k8s/clusters/c-1/api/v1/pods/a/exec", undefined, fingerprint256],
  ]);
});
