import type * as z from "zod";

/** The names of an object schema's fields, in the order in which they were written. */
export function fieldNames(schema: z.core.$ZodType): string[] {
  const shape = findShape(schema);
  return shape ? Object.keys(shape) : [];
}

/** The schema of a field of an object schema, or undefined where the object has no such field. */
export function fieldSchema(schema: z.core.$ZodType, name: string): z.core.$ZodType | undefined {
  const shape = findShape(schema) ?? {};
  return Object.hasOwn(shape, name) ? shape[name] : undefined;
}

/** Returns the schema of the value at a path, or undefined for a path that the schema does not have. */
export function schemaAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>((at, part) => (at ? child(at, part) : undefined), schema);
}

/** Whether only integers are accepted, however the schema is wrapped. */
export function isWholeNumber(schema: z.core.$ZodType): boolean {
  const { type, format, checks, innerType, in: input, out, options } = getDefinition(schema);
  if (type === "number") return format !== undefined || (checks ?? []).some(isIntegerCheck);
  return [innerType, input, out, ...(options ?? [])].some((part) => part !== undefined && isWholeNumber(part));
}

/** Whether a value must be there, however the schema is wrapped. */
export function isRequired(schema: z.core.$ZodType): boolean {
  const { type, innerType, in: input, out } = getDefinition(schema);
  if (type === "optional" || type === "default" || type === "prefault") return false;
  if (type === "pipe" && input && out) return isRequired(getDefinition(input).type === "transform" ? out : input);
  return innerType === undefined || isRequired(innerType);
}

/** The lowest and highest number that a schema takes, where it has both and takes both. */
export function findBounds(schema: z.core.$ZodType): readonly [lowest: number, highest: number] | undefined {
  const { checks = [] } = getDefinition(unwrapped(schema));
  const bound = (kind: string) => checks.map(({ _zod }) => _zod.def as Bound).findLast(({ check }) => check === kind);
  const [lowest, highest] = [bound("greater_than"), bound("less_than")];
  return lowest?.inclusive && highest?.inclusive ? [lowest.value, highest.value] : undefined;
}

function child(schema: z.core.$ZodType, part: PropertyKey): z.core.$ZodType | undefined {
  const { valueType, element } = getDefinition(unwrapped(schema));
  return fieldSchema(schema, String(part)) ?? valueType ?? element;
}

function findShape(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> | undefined {
  return getDefinition(unwrapped(schema)).shape;
}

/** Without optional, nullable, default and the like; of a pipe, the side that is no mere transformation. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { type, innerType, in: input, out } = getDefinition(schema);
  if (innerType) return unwrapped(innerType);
  if (type !== "pipe" || !input || !out) return schema;
  return unwrapped(getDefinition(input).type === "transform" ? out : input);
}

/** The parts of zod's definitions that are read here; each kind of schema has some of them. */
interface Definition {
  readonly type: string;
  readonly format?: string;
  readonly checks?: readonly z.core.$ZodCheck[];
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly innerType?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
}

/** Zod's definition of `min` and `max` of a number. */
interface Bound {
  readonly check: string;
  readonly value: number;
  readonly inclusive: boolean;
}

/** `_zod.def` is zod's documented way in for tools; its static type says less than is there. */
function getDefinition(schema: z.core.$ZodType): Definition {
  return schema._zod.def as Definition;
}

function isIntegerCheck(check: z.core.$ZodCheck): boolean {
  return check._zod.def.check === "number_format";
}
