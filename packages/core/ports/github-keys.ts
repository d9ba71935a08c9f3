export interface GithubKeys {
  /** Returns the keys, one per line, or undefined if there is no such user. Throws if GitHub did not answer in time. */
  fetchKeys(user: string, patienceMs?: number): Promise<string | undefined>;
}
