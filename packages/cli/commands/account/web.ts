import { CliError, doctorHint, exitCodes } from "../../failure.ts";
import { connect } from "../../login/connect.ts";
import { isLoopback } from "../../stack/local-stack.ts";
import { openSecretLink } from "../../terminal/open-secret-link.ts";
import { out, outJson, say } from "../../terminal/terminal.ts";

interface WebFlags {
  readonly noOpen: boolean;
  readonly json: boolean;
}

/** Opens the web console in a browser that is then logged in. */
export async function web({ noOpen, json }: WebFlags): Promise<void> {
  const berth = await connect();
  const { paths } = await berth.discover();
  const address = consoleAddress(berth.url, paths.console);
  const { code, expires_at } = await berth.web.createCode();
  const link = `${new URL("login", address).href}#code=${encodeURIComponent(code)}`;
  if (json) return outJson({ url: link, expires_at });
  const result = noOpen ? "no desktop" : await openSecretLink(link);
  if (result === "opened") return say("The console asks in your browser whether to go on.");
  if (!noOpen) say("No browser could be started here, so open the link yourself.");
  out(`${link}\n`);
  say("Whoever opens this link is logged in as you. It works once, for a minute.");
}

/** Returns the console's address: at the deployment itself, or on this machine as on the local stack. */
function consoleAddress(url: string, path: string | null): URL {
  if (path === null) throw new CliError("This deployment has no web console", exitCodes.failed, doctorHint);
  const [base, address] = [new URL(`${url}/`), new URL(path, `${url}/`)];
  const isLocal = address.protocol === "http:" && address.hostname === "berth.localhost";
  if (address.origin === base.origin || (isLocal && isLoopback(base.href))) return address;
  throw new CliError(
    "The server sent an invalid address of its console, so no code was made",
    exitCodes.failed,
    doctorHint,
  );
}
