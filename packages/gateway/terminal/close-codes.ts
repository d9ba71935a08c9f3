/** Why a terminal's connection was closed (docs/apis/common.md#web-terminals). */
export const closings = {
  exited: [1000, "The shell has ended"],
  stopping: [1001, "This gateway stops"],
  badFrame: [4400, "This frame is not in the protocol"],
  notAdmitted: [4401, "The ticket or its key is not valid"],
  gone: [4404, "The terminal has ended"],
  late: [4408, "No open came"],
  replaced: [4409, "Another client is connected now"],
  ended: [4410, "The environment has ended"],
  tooMany: [4429, "Too many terminals"],
  unsupported: [4501, "This environment has no terminals"],
  unreachable: [4503, "The environment does not answer"],
} as const satisfies Readonly<Record<string, readonly [code: number, reason: string]>>;

export type Closing = keyof typeof closings;
