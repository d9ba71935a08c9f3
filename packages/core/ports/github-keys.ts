/** The public SSH keys that GitHub users have published. */
export interface GithubKeys {
  /**
   * Returns one key a line, as GitHub answers, or undefined when there is no such user. Throws when GitHub could not be
   * asked, or did not answer within the patience.
   */
  keysOf(user: string, patienceMs?: number): Promise<string | undefined>;
}
