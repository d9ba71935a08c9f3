import { lackKinds, type MachineGroup } from "../../ports/machine-groups.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { count, flag, list, literal, mark, number, optional, shape, text } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";

/** The provider's last answer. It stays while the provider does not answer. */
export interface MachineGroupsItem extends Stored {
  readonly kind: "machine-groups";
  readonly groups: readonly MachineGroup[];
  /** Time of the answer, if there was one. */
  readonly readAt?: number | undefined;
  /** Time of the last question. */
  readonly triedAt: number;
  /** Kind of the error that was the reply to the last question. */
  readonly failure?: string | undefined;
}

export const parseMachineGroups: (item: Item) => MachineGroupsItem = createParser("machine-groups", {
  groups: list(
    shape<MachineGroup>({
      name: text,
      instanceTypes: list(text),
      zones: list(text),
      mostNodes: count,
      leastNodes: optional(count),
      desiredNodes: optional(count),
      isActive: flag,
      admitsRuns: flag,
      isSelectable: mark,
      lacks: optional(literal(...lackKinds)),
      lacksIn: optional(list(text)),
      startsAt: optional(number),
      endsAt: optional(number),
    }),
  ),
  readAt: optional(number),
  triedAt: number,
  failure: optional(text),
});
