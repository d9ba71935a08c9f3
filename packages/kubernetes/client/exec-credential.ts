import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import type { ApiAccess } from "./exchange.ts";

/** Credential plugin of a kubeconfig, such as `aws eks get-token`. */
export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args?: readonly string[] | null | undefined;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null | undefined;
  readonly provideClusterInfo?: boolean | undefined;
}

interface PluginPlace {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Base of a relative command. */
  readonly directory: string;
  readonly server: string;
  readonly ca: string | undefined;
}

const spareMs = 60_000;
const patienceMs = 30_000;

/** Returns tokens of a credential plugin, which runs once at a time. Errors never contain its output. */
export function execTokens(plugin: ExecPlugin, place: PluginPlace, now = Date.now): ApiAccess["token"] {
  let kept: { readonly token: string; readonly endsAt: number } | undefined;
  let asking: Promise<string> | undefined;
  return (refused) => {
    if (kept && kept.token !== refused && now() < kept.endsAt - spareMs) return Promise.resolve(kept.token);
    asking ??= ask(plugin, place)
      .then((credential) => {
        kept = credential;
        return credential.token;
      })
      .finally(() => {
        asking = undefined;
      });
    return asking;
  };
}

const Credential = z.object({
  status: z.object({ token: z.string().min(1), expirationTimestamp: z.iso.datetime({ offset: true }).optional() }),
});

async function ask(plugin: ExecPlugin, { environment, directory, server, ca }: PluginPlace) {
  const { apiVersion, command, args, env } = plugin;
  const program = command.includes("/") ? resolve(directory, command) : command;
  const cluster = { server, ...(ca && { "certificate-authority-data": Buffer.from(ca).toString("base64") }) };
  const spec = { interactive: false, ...(plugin.provideClusterInfo ? { cluster } : {}) };
  const info = JSON.stringify({ apiVersion, kind: "ExecCredential", spec });
  const variables = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const options = { env: { ...environment, ...variables, KUBERNETES_EXEC_INFO: info }, timeout: patienceMs };
  const { stdout } = await promisify(execFile)(program, [...(args ?? [])], options).catch(
    (error: NodeJS.ErrnoException) => {
      throw new Error(`The credential plugin ${command} of the kubeconfig failed: ${wayItFailed(error)}`);
    },
  );
  const { token, expirationTimestamp } = getCredential(stdout, command);
  const endsAt = expirationTimestamp === undefined ? Number.POSITIVE_INFINITY : Date.parse(expirationTimestamp);
  return { token, endsAt };
}

/** Describes a failure without the output, which may contain a token. */
function wayItFailed({ code }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return "the program is not on the PATH";
  return code === undefined || code === null ? "it was killed" : `it exited with ${code}`;
}

function getCredential(stdout: string, command: string): z.output<typeof Credential>["status"] {
  try {
    return Credential.parse(JSON.parse(stdout)).status;
  } catch {
    throw new Error(
      `The credential plugin ${command} of the kubeconfig returned no token (client certificates are not supported)`,
    );
  }
}
