import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../home/secret-file.ts";
import type { LocalIdentity } from "../../identity/identities.ts";
import { exportLines } from "../../shell-lines.ts";

interface Addresses {
  readonly url: string;
  readonly stsUrl: string;
}

export function writeUserFiles(home: string, users: readonly LocalIdentity[], at: Addresses): string | undefined {
  const directory = join(home, "users");
  mkdirSync(directory, { mode: 0o700, recursive: true });
  const names = users.map(({ session }) => `${session}.env`);
  const left = readdirSync(directory).filter((name) => name.endsWith(".env") && !names.includes(name));
  for (const name of left) rmSync(join(directory, name));
  for (const user of users) replaceFile(join(directory, `${user.session}.env`), exportLines(userVariables(user, at)));
  return users.length > 0 ? directory : undefined;
}

export function userVariables(user: LocalIdentity, { url, stsUrl }: Addresses): Record<string, string> {
  return {
    API_URL: url,
    AWS_ACCESS_KEY_ID: user.accessKeyId,
    AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
    AWS_SESSION_TOKEN: user.sessionToken,
    AWS_ENDPOINT_URL_STS: stsUrl,
  };
}
