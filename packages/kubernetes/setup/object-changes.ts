/** A field that differs, with both values as JSON. Undefined: the object has no such field. */
export interface FieldChange {
  /** Such as `spec.egress[0].to[1].ipBlock.cidr`. */
  readonly field: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** Fields that the API server writes at each change, or that controllers report. */
const ofServer = ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/** Lists the fields that differ, by name. Leaves out those that the API server writes. */
export function compareObjects(live: object, wanted: object): FieldChange[] {
  return compareValues("", withoutServerFields(live), withoutServerFields(wanted));
}

function withoutServerFields(object: object): object {
  const { status: _, metadata, ...rest } = object as { status?: unknown; metadata?: object };
  const kept = Object.entries(metadata ?? {}).filter(([field]) => !ofServer.includes(field));
  return { ...rest, metadata: Object.fromEntries(kept) };
}

function compareValues(field: string, from: unknown, to: unknown): FieldChange[] {
  if (Array.isArray(from) && Array.isArray(to)) {
    const longest = from.length > to.length ? from : to;
    return longest.flatMap((_, at) => compareValues(`${field}[${at}]`, from[at], to[at]));
  }
  if (isMap(from) && isMap(to)) {
    const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].toSorted();
    return names.flatMap((name) => compareValues(formatField(field, name), from[name], to[name]));
  }
  const [before, after] = [JSON.stringify(from), JSON.stringify(to)];
  return before === after ? [] : [{ field, from: before, to: after }];
}

/** Labels and keys of a ConfigMap may contain dots. */
function formatField(parent: string, name: string): string {
  if (!/^\w+$/.test(name)) return `${parent}[${JSON.stringify(name)}]`;
  return parent === "" ? name : `${parent}.${name}`;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
