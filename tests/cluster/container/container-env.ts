import type { KubeClient } from "../client.ts";
import type { Container, EnvVar, Pod } from "../kubelet/pod.ts";

/** Returns a container's environment from values, pod fields and Secrets. Throws if one is missing. */
export async function containerEnv(client: KubeClient, pod: Pod, container: Container, podIp: string) {
  const env: Record<string, string> = { HOSTNAME: pod.metadata.name };
  for (const { secretRef } of container.envFrom ?? []) {
    if (secretRef) Object.assign(env, await readSecret(client, pod, secretRef.name));
  }
  for (const variable of container.env ?? []) env[variable.name] = await readVariable(client, pod, variable, podIp);
  return env;
}

async function readVariable(
  client: KubeClient,
  pod: Pod,
  { value, valueFrom }: EnvVar,
  podIp: string,
): Promise<string> {
  if (valueFrom?.fieldRef) return getField(pod, valueFrom.fieldRef.fieldPath, podIp);
  if (!valueFrom?.secretKeyRef) return value ?? "";
  const { name, key } = valueFrom.secretKeyRef;
  const found = (await readSecret(client, pod, name))[key];
  if (found === undefined) throw new Error(`couldn't find key ${key} in Secret ${pod.metadata.namespace}/${name}`);
  return found;
}

async function readSecret(client: KubeClient, pod: Pod, name: string): Promise<Record<string, string>> {
  const path = `/api/v1/namespaces/${pod.metadata.namespace}/secrets/${name}`;
  const { status, body } = await client.get<{ data?: Record<string, string> }>(path);
  if (status !== 200) throw new Error(`secret "${name}" not found`);
  return Object.fromEntries(
    Object.entries(body.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
}

function getField({ metadata, spec }: Pod, path: string, podIp: string): string {
  const [, of, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (of === "labels" || of === "annotations") return metadata[of]?.[key ?? ""] ?? "";
  const fields: Record<string, string | undefined> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
    "spec.nodeName": spec.nodeName,
    "status.podIP": podIp,
    "status.hostIP": "127.0.0.1",
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`The pretend kubelet does not support the field ${path}`);
  return value;
}
