/**
 * Removes every AWS_* variable and hides the user's AWS files, so that no SDK client can reach a real account by
 * accident.
 */
export function dropAwsEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of Object.keys(environment)) {
    if (name.startsWith("AWS_")) delete environment[name];
  }
  environment.AWS_CONFIG_FILE = "/dev/null";
  environment.AWS_SHARED_CREDENTIALS_FILE = "/dev/null";
}
