import type { Settings } from "../../settings.ts";
import { letsSomebodyIn } from "../record/changes/access.ts";
import type { Environment } from "../record/record.ts";

/** Returns how the user's own OpenSSH connects. Returns null if no key would get in. */
export function formatSshCommand(
  { access, run }: Pick<Environment, "access" | "run">,
  { sshGateway }: Pick<Settings, "sshGateway">,
): string | null {
  if (!letsSomebodyIn(access, run.n)) return null;
  if (sshGateway) return gatewayCommand(access, sshGateway);
  const { ip, port } = run.address ?? {};
  return port ? `ssh -p ${port} ${access.login}@${ip}` : null;
}

/** Returns the command for a gateway, which knows an environment by its login. */
export function gatewayCommand(
  { login }: Pick<Environment["access"], "login">,
  { host, port }: NonNullable<Settings["sshGateway"]>,
): string {
  return port === 22 ? `ssh ${login}@${host}` : `ssh -p ${port} ${login}@${host}`;
}
