import type { components } from "../../../sdk/schema.ts";
import { printable } from "../../data/words.ts";
import { At, usePassed } from "../../parts/clock.tsx";
import { type Column, Table } from "../../parts/table.tsx";

type Reading = components["schemas"]["NodeGroupsReading"];
type NodeGroup = components["schemas"]["NodeGroup"];

/** Node groups of EKS: what each has, and why it creates no machine. A local stack has none. */
export function NodeGroups({ reading }: { readonly reading: Reading | null }) {
  if (!reading) return null;
  const { groups } = reading;
  return (
    <section>
      <h2>Node groups</h2>
      {groups.length > 0 && (
        <Table caption="Node groups" columns={columns} rows={groups} rowKey={({ node_group }) => node_group} />
      )}
      <LastRead reading={reading} />
    </section>
  );
}

/** Says when the node groups were last read from EKS, and with which error a later read failed. */
function LastRead({ reading: { read_at, error } }: { readonly reading: Reading }) {
  return (
    <p className="faint">
      {read_at === null ? (
        "Node groups never read"
      ) : (
        <>
          Node groups read at <At time={read_at} />
        </>
      )}
      {error === null ? "." : `; EKS: ${printable(error, 80)}`}
    </p>
  );
}

const columns: readonly Column<NodeGroup>[] = [
  { name: "Group", cell: ({ node_group }) => <code>{printable(node_group, 100)}</code> },
  { name: "Machine types", cell: ({ instance_types }) => printable(instance_types.join(", "), 200) },
  { name: "Zones", cell: ({ zones }) => (zones.length === 0 ? "unknown" : printable(zones.join(", "), 200)) },
  { name: "Machines", cell: (group) => describeSize(group) },
  { name: "State", cell: (group) => <GroupState group={group} /> },
];

function describeSize({ min, desired, max }: NodeGroup): string {
  const parts = [desired !== null && `${desired} wanted`, min !== null && `at least ${min}`, `at most ${max}`];
  return parts.filter(Boolean).join(", ");
}

const longAgo = new Date(0).toISOString();

function GroupState({ group }: { readonly group: NodeGroup }) {
  const { active, admits_jobs, instance_types, lacks, starts_at, ends_at } = group;
  const isEarly = !usePassed(starts_at ?? longAgo);
  const isOver = usePassed(ends_at ?? "");
  const reasons = [
    isEarly && "not open yet",
    isOver && "over",
    !active && "not active",
    !admits_jobs && "its taints or labels keep jobs out",
    instance_types.length > 1 && "gets no new machine for a job, because it has several machine types",
    lacks !== null && describeLack(group),
  ].filter((reason) => reason !== false);
  return (
    <>
      {reasons.length === 0 ? "open" : <span className="warning">{reasons.join("; ")}</span>}
      {starts_at !== null && <BlockTime time={starts_at} words={["starts", "started"]} />}
      {ends_at !== null && <BlockTime time={ends_at} words={["ends", "ended"]} />}
    </>
  );
}

const lackWords = {
  machines: "EC2 lacks machines",
  quota: "a quota is used up",
  addresses: "the subnet lacks addresses",
  other: "EKS reports a fault",
} as const satisfies Record<NonNullable<NodeGroup["lacks"]>, string>;

/** A newer server may name other lacks. */
function describeLack({ lacks, lacks_in }: NodeGroup): string {
  const words = lackWords[lacks ?? "other"] ?? lackWords.other;
  return `${words} in ${lacks_in.length === 0 ? "all of its zones" : printable(lacks_in.join(", "), 200)}`;
}

interface BlockTimeProps {
  readonly time: string;
  /** The verb before the time, and after it. */
  readonly words: readonly [before: string, after: string];
}

function BlockTime({ time, words: [before, after] }: BlockTimeProps) {
  const isPast = usePassed(time);
  return (
    <span className="why">
      its Capacity Block {isPast ? after : before} at <At time={time} />
    </span>
  );
}
