import type * as z from "zod";

export function fieldNames(schema: z.core.$ZodType): string[] {
  const shape = findShape(schema);
  return shape ? Object.keys(shape) : [];
}

export function fieldSchema(schema: z.core.$ZodType, name: string): z.core.$ZodType | undefined {
  const shape = findShape(schema) ?? {};
  return Object.hasOwn(shape, name) ? shape[name] : undefined;
}

export function schemaAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>((at, part) => (at ? child(at, part) : undefined), schema);
}

export function isWholeNumber(schema: z.core.$ZodType): boolean {
  const { type, format, checks, innerType, in: input, out, options } = getDefinition(schema);
  if (type === "number") return format !== undefined || (checks ?? []).some(isIntegerCheck);
  return [innerType, input, out, ...(options ?? [])].some((part) => part !== undefined && isWholeNumber(part));
}

export function isRequired(schema: z.core.$ZodType): boolean {
  const { type, innerType, in: input, out } = getDefinition(schema);
  if (type === "optional" || type === "default" || type === "prefault") return false;
  if (type === "pipe" && input && out) return isRequired(getDefinition(input).type === "transform" ? out : input);
  return innerType === undefined || isRequired(innerType);
}

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

/** Strips optional, nullable, default and similar wrappers. Picks the side of a pipe that is not a transformation. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { type, innerType, in: input, out } = getDefinition(schema);
  if (innerType) return unwrapped(innerType);
  if (type !== "pipe" || !input || !out) return schema;
  return unwrapped(getDefinition(input).type === "transform" ? out : input);
}

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

interface Bound {
  readonly check: string;
  readonly value: number;
  readonly inclusive: boolean;
}

/** `_zod.def` is zod's documented access for tools. The static type of the schema lacks these fields. */
function getDefinition(schema: z.core.$ZodType): Definition {
  return schema._zod.def as Definition;
}

function isIntegerCheck(check: z.core.$ZodCheck): boolean {
  return check._zod.def.check === "number_format";
}
