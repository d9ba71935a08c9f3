import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { ControlPlane } from "#testing/cluster/control-plane.ts";

/** What a webhook says of one request; undefined: it lets it pass. */
export interface Denial {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}

export interface AdmissionRequest {
  readonly kind: { readonly kind: string };
  readonly object: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } };
}

/** An admission webhook on loopback that the API server asks before it makes pods and Jobs in a namespace. */
export async function openAdmissionWebhook(
  { serving }: Pick<ControlPlane, "serving">,
  denies: (request: AdmissionRequest) => Denial | undefined,
) {
  const server = https.createServer(serving, async (request, response) => {
    let text = "";
    for await (const part of request) text += String(part);
    const review = JSON.parse(text) as { readonly request: AdmissionRequest & { readonly uid: string } };
    const denial = denies(review.request);
    const body = { uid: review.request.uid, allowed: denial === undefined, ...(denial && { status: denial }) };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: body }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    /** For `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations`. */
    configuration: (name: string, namespace: string) => ({
      metadata: { name },
      webhooks: [
        {
          name: `${name}.berth.test`,
          admissionReviewVersions: ["v1"],
          sideEffects: "None",
          timeoutSeconds: 2,
          clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(serving.cert).toString("base64") },
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
          rules: [
            { apiGroups: ["batch"], apiVersions: ["v1"], resources: ["jobs"], operations: ["CREATE"] },
            { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"] },
          ],
        },
      ],
    }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
