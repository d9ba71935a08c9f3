import fc from "fast-check";
import { expect, test } from "vitest";
import { visibleMessages } from "./visible.ts";

interface Sent {
  readonly id: number;
  readonly group: string | undefined;
  readonly look: { readonly hint?: true };
}

const message = (id: number, group?: string): Sent => ({ id, group, look: {} });
const hint = (id: number): Sent => ({ id, group: undefined, look: { hint: true } });

test("hands out a hint that comes last in turn with what waits longer, each in the order in which they came", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2, 3, 4]) visible.add(message(id));
  for (const id of [5, 6]) visible.add(hint(id));

  const taken = [1, 2, 3, 4, 5, 6, 7].map(() => visible.take()?.id);

  expect(taken).toEqual([5, 1, 6, 2, 3, 4, undefined]);
});

test("holds back neither hints nor others where there is only one of the two", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2]) visible.add(hint(id));

  const hints = [visible.take()?.id, visible.take()?.id, visible.hasNext()];
  for (const id of [3, 4]) visible.add(message(id));

  expect(hints).toEqual([1, 2, false]);
  expect([visible.take()?.id, visible.take()?.id, visible.hasNext()]).toEqual([3, 4, false]);
});

test("hands out of each group what was sent first, also when that came back last", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [2, 3, 1]) visible.add(message(id, "g"));

  const taken = [1, 2, 3].map(() => {
    const next = visible.take();
    if (next) visible.putBack(next);
    return next?.id;
  });

  expect(taken).toEqual([1, 2, 3]);
});

test("serves the groups in turn", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2, 3]) visible.add(message(id, "busy"));
  visible.add(message(4, "other"));

  const first = visible.take() as Sent;
  visible.putBack(first);

  expect([first.id, visible.take()?.id]).toEqual([1, 4]);
});

test("has nothing of a group of which one is out, until that is put back or removed", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2, 3]) visible.add(message(id, "g"));

  const first = visible.take() as Sent;
  const whileOut = visible.hasNext();
  visible.remove(first);
  const second = visible.take();

  expect([first.id, whileOut, second?.id, visible.size]).toEqual([1, false, 2, 1]);
});

/** What may happen to one of a few messages, half of them of two groups. */
const happenings = fc.array(
  fc.record({ what: fc.constantFrom("add", "remove", "take", "putBack"), id: fc.integer({ min: 1, max: 8 }) }),
  { maxLength: 60 },
);
const groupOf = (id: number) => [undefined, undefined, "g", "h"][id % 4];

test("keeps to its rules whatever happens in which order", () => {
  fc.assert(
    fc.property(happenings, (all) => {
      const visible = visibleMessages<Sent>();
      const [inside, out] = [new Set<number>(), new Set<number>()];
      const isFree = (id: number) => groupOf(id) === undefined || ![...out].some((one) => groupOf(one) === groupOf(id));
      for (const { what, id } of all) {
        const one = id === 4 ? hint(id) : message(id, groupOf(id));
        if (what === "add" && !out.has(id)) {
          visible.add(one);
          inside.add(id);
        }
        if (what === "remove") {
          visible.remove(one);
          for (const ids of [inside, out]) ids.delete(id);
        }
        if (what === "putBack") {
          visible.putBack(one);
          out.delete(id);
        }
        if (what === "take") {
          const allowed = [...inside].filter(isFree);
          const isFirst = (each: number) =>
            groupOf(each) === undefined || !allowed.some((other) => groupOf(other) === groupOf(each) && other < each);
          const taken = visible.take()?.id;
          if (allowed.length === 0) expect(taken).toBeUndefined();
          else expect(allowed.filter(isFirst)).toContain(taken);
          inside.delete(taken ?? 0);
          if (taken !== undefined) out.add(taken);
        }
        expect([visible.size, visible.hasNext()]).toEqual([inside.size, [...inside].some(isFree)]);
      }
    }),
    { numRuns: 500 },
  );
});
