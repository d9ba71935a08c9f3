/** A server of one AWS API that the real clients talk to, for tests. */
export interface TestServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}
