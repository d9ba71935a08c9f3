/** A text frame of the gateway (docs/apis/common.md#web-terminals). */
export interface ServerFrame {
  readonly type: string;
  readonly offset?: number;
  readonly window?: number;
  readonly received?: number;
  readonly exit_code?: number;
  readonly text?: string;
}

/** Close codes after which another connection is of no use. */
export const finalCodes: Readonly<Record<number, string>> = {
  1000: "The shell has ended",
  4409: "This terminal is open in another window now",
  4410: "The environment has ended",
  4429: "The environment has as many terminals as it may have: end one",
  4501: "This environment has no terminals: use SSH",
};
