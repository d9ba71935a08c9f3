import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import * as z from "zod";
import type { ApiAccess } from "./exchange.ts";
import { execTokens } from "./exec-credential.ts";

export interface KubeconfigOptions {
  readonly file: string;
  /** Default: the file's `current-context`. */
  readonly context?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface KubeconfigAccess {
  readonly access: ApiAccess;
  readonly context: string;
}

/** Returns the API server and credentials of a context. Errors say what to do and contain no secrets. */
export async function readKubeconfig({ file, context, environment }: KubeconfigOptions): Promise<KubeconfigAccess> {
  const bad = (rule: string) => new Error(`Bad settings:\n  KUBECONFIG ${file}: ${rule}`);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw bad(`it cannot be read (${error.code ?? "error"}); name one file, for example ~/.kube/config`);
  });
  const config = parsed(text, bad);
  const name = context ?? config["current-context"];
  if (!name) throw bad(`it has no current-context; set KUBE_CONTEXT to one of ${formatNames(config.contexts)}`);
  const { cluster: clusterName, user: userName } =
    find(config.contexts, name)?.context ?? fail(bad(`no context ${name}; it has ${formatNames(config.contexts)}`));
  const cluster = find(config.clusters, clusterName)?.cluster ?? fail(bad(`no cluster ${clusterName}`));
  const user = find(config.users, userName)?.user ?? fail(bad(`no user ${userName}`));
  refuse(cluster, user, (rule) => bad(`context ${name}: ${rule}`));
  const read = (data: string | undefined, path: string | undefined, noun: string) =>
    findPem(data, path && resolve(dirname(file), path), (rule) => bad(`${noun} of context ${name} ${rule}`));
  const [ca, cert, key] = await Promise.all([
    read(cluster["certificate-authority-data"], cluster["certificate-authority"], "the certificate authority"),
    read(user["client-certificate-data"], user["client-certificate"], "the client certificate"),
    read(user["client-key-data"], user["client-key"], "the client key"),
  ]);
  const servername = cluster["tls-server-name"];
  const token = getTokens(user, { environment, file, server: cluster.server, ca });
  return { context: name, access: { url: cluster.server, ca, cert, key, servername, token } };
}

const text = z.string().optional();
const Cluster = z.object({
  server: z.string(),
  "certificate-authority-data": text,
  "certificate-authority": text,
  "insecure-skip-tls-verify": z.boolean().optional(),
  "tls-server-name": text,
  "proxy-url": text,
});
const ExecPlugin = z.object({
  apiVersion: z.string(),
  command: z.string(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  provideClusterInfo: z.boolean().optional(),
});
const User = z.object({
  token: text,
  tokenFile: text,
  "client-certificate-data": text,
  "client-certificate": text,
  "client-key-data": text,
  "client-key": text,
  exec: ExecPlugin.nullish(),
  "auth-provider": z.unknown().optional(),
  username: text,
  as: text,
});
const Kubeconfig = z.object({
  "current-context": text,
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }))
    .nullish(),
  clusters: z.array(z.object({ name: z.string(), cluster: Cluster })).nullish(),
  users: z.array(z.object({ name: z.string(), user: User })).nullish(),
});

type Complaint = (rule: string) => Error;

/** Validates without the parsers' messages, which repeat their input. */
function parsed(source: string, bad: Complaint): z.output<typeof Kubeconfig> {
  const found = Kubeconfig.safeParse(buildDocument(source, bad));
  if (found.success) return found.data;
  const places = found.error.issues.map(({ path }) => path.join(".") || "the whole");
  throw bad(`it is not a kubeconfig: see ${places.slice(0, 3).join(", ")}`);
}

function buildDocument(source: string, bad: Complaint): unknown {
  try {
    return parse(source, { prettyErrors: false, logLevel: "error" });
  } catch {
    throw bad("it is not YAML");
  }
}

function find<Named extends { readonly name: string }>(
  all: readonly Named[] | null | undefined,
  name: string,
): Named | undefined {
  return all?.find((named) => named.name === name);
}

function fail(error: Error): never {
  throw error;
}

function formatNames(all: readonly { readonly name: string }[] | null | undefined): string {
  return all?.map(({ name }) => name).join(", ") || "none";
}

/** Rejects unsupported and unsafe settings, which would otherwise be ignored silently. */
function refuse(cluster: z.output<typeof Cluster>, user: z.output<typeof User>, bad: Complaint): void {
  if (!URL.canParse(cluster.server) || new URL(cluster.server).protocol !== "https:") {
    throw bad("its server must be an https address");
  }
  if (cluster["insecure-skip-tls-verify"]) {
    throw bad("insecure-skip-tls-verify is refused: name the server's certificate-authority instead");
  }
  if (cluster["proxy-url"]) throw bad("proxy-url is not supported");
  if (user["auth-provider"]) throw bad("auth-provider is not supported (kubectl has dropped it too): use exec");
  if (user.username) throw bad("a user name with a password is not supported");
  if (user.as) throw bad("impersonation (as) is not supported");
}

async function findPem(
  data: string | undefined,
  path: string | undefined,
  bad: Complaint,
): Promise<string | undefined> {
  if (data) return Buffer.from(data, "base64").toString();
  if (!path) return undefined;
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw bad(`cannot be read from ${path} (${error.code ?? "error"})`);
  });
}

interface TokenPlace {
  readonly environment: KubeconfigOptions["environment"];
  readonly file: string;
  readonly server: string;
  readonly ca: string | undefined;
}

/** Returns the token source. Reads a token file each time, because another program renews it. */
function getTokens(user: z.output<typeof User>, { environment, file, server, ca }: TokenPlace): ApiAccess["token"] {
  const { token, tokenFile, exec } = user;
  if (tokenFile) return async () => (await readFile(resolve(dirname(file), tokenFile), "utf8")).trim();
  if (token) return async () => token;
  if (exec) return execTokens(exec, { environment, directory: dirname(resolve(file)), server, ca });
  return async () => undefined;
}
