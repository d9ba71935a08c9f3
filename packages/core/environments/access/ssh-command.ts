import type { Settings } from "../../settings.ts";
import { letsSomebodyIn } from "../record/changes/access.ts";
import type { Environment } from "../record/record.ts";

/** Returns how the user's own OpenSSH connects. Returns null if no key would get in. */
export function formatSshCommand(
  { access, run }: Pick<Environment, "access" | "run">,
  { sshGateway }: Pick<Settings, "sshGateway">,
): string | null {
  if (!letsSomebodyIn(access, run.n)) return null;
  if (sshGateway?.port === 22) return `ssh ${access.login}@${sshGateway.host}`;
  const { host, port } = sshGateway ?? { host: run.address?.ip, port: run.address?.port };
  return port ? `ssh -p ${port} ${access.login}@${host}` : null;
}
