/** The public SSH keys that GitHub users have published. */
export interface GithubKeys {
  /** One key a line, as GitHub answers; undefined when there is no such user. Throws when it could not be asked. */
  keysOf(user: string): Promise<string | undefined>;
}
