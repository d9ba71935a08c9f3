import fc from "fast-check";
import { expect, test } from "vitest";
import { visibleMessages } from "./visible.ts";

interface Sent {
  readonly id: number;
  readonly group: string | undefined;
  readonly look: { readonly hint?: true; readonly fromHint?: true };
}

const message = (id: number, group?: string): Sent => ({ id, group, look: {} });
const hint = (id: number): Sent => ({ id, group: undefined, look: { hint: true } });
const fromHint = (id: number): Sent => ({ id, group: undefined, look: { fromHint: true } });

const listIds = (batch: readonly Sent[]) => batch.map(({ id }) => id);

test("alternates hints and their results with other messages, each in order of arrival", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2, 3, 4]) visible.add(message(id));
  visible.add(hint(5));
  visible.add(fromHint(6));

  const taken = [1, 2, 3, 4, 5, 6, 7].flatMap(() => listIds(visible.take()));

  expect(taken).toEqual([5, 1, 6, 2, 3, 4]);
});

test("delays neither hints nor others if there is only one kind", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2]) visible.add(hint(id));

  const hints = [...listIds(visible.take()), ...listIds(visible.take()), visible.hasNext()];
  for (const id of [3, 4]) visible.add(message(id));

  expect(hints).toEqual([1, 2, false]);
  expect([listIds(visible.take()), listIds(visible.take()), visible.hasNext()]).toEqual([[3], [4], false]);
});

test("delivers the first messages of each group, up to a hundred at once, also after a return", () => {
  const visible = visibleMessages<Sent>();
  const ids = Array.from({ length: 102 }, (_, n) => n + 1);
  for (const id of ids.toReversed()) visible.add(message(id, "g"));

  const first = visible.take();
  for (const sent of first) visible.remove(sent);
  const second = visible.take();

  expect([listIds(first), listIds(second)]).toEqual([ids.slice(0, 100), [101, 102]]);
});

test("serves the groups in turn", () => {
  const visible = visibleMessages<Sent>();
  for (const id of [1, 2]) visible.add(message(id, "busy"));
  visible.add(message(4, "other"));

  const first = visible.take();
  for (const sent of first) visible.putBack(sent);
  for (const sent of first) visible.add(sent);

  expect([listIds(first), listIds(visible.take())]).toEqual([[1, 2], [4]]);
});

test("delivers nothing of a group in flight until all of its messages are put back or removed", () => {
  const visible = visibleMessages<Sent>();
  const [left, right, later] = [1, 2, 3].map((id) => message(id, "g")) as [Sent, Sent, Sent];
  for (const each of [left, right]) visible.add(each);

  const first = visible.take();
  visible.add(later);
  const whileAreOut = visible.hasNext();
  visible.remove(left);
  const whileOneIsOut = visible.hasNext();
  visible.putBack(right);
  const second = visible.take();

  expect([first, second].map(listIds)).toEqual([[1, 2], [3]]);
  expect([whileAreOut, whileOneIsOut, visible.size]).toEqual([false, false, 0]);
});

/** Actions on a few messages, half of them in two groups. */
const happenings = fc.array(
  fc.record({ what: fc.constantFrom("add", "remove", "take", "putBack"), id: fc.integer({ min: 1, max: 8 }) }),
  { maxLength: 60 },
);
const findGroup = (id: number) => [undefined, undefined, "g", "h"][id % 4];

test("keeps its rules in any order of actions", () => {
  fc.assert(
    fc.property(happenings, (all) => {
      const visible = visibleMessages<Sent>();
      const [inside, out] = [new Set<number>(), new Set<number>()];
      const isFree = (id: number) =>
        findGroup(id) === undefined || ![...out].some((value) => findGroup(value) === findGroup(id));
      for (const { what: subject, id } of all) {
        const sent = id === 4 ? hint(id) : message(id, findGroup(id));
        if (subject === "add" && !out.has(id)) {
          visible.add(sent);
          inside.add(id);
        }
        if (subject === "remove") {
          visible.remove(sent);
          for (const ids of [inside, out]) ids.delete(id);
        }
        if (subject === "putBack") {
          visible.putBack(sent);
          out.delete(id);
        }
        if (subject === "take") {
          const allowed = [...inside].filter(isFree);
          const getBatch = (each: number) =>
            findGroup(each) === undefined
              ? [each]
              : allowed.filter((otherValue) => findGroup(otherValue) === findGroup(each)).sort();
          const taken = listIds(visible.take());
          expect(allowed.length === 0 ? [[]] : allowed.map(getBatch)).toContainEqual(taken);
          for (const each of taken) {
            inside.delete(each);
            out.add(each);
          }
        }
        expect([visible.size, visible.hasNext()]).toEqual([inside.size, [...inside].some(isFree)]);
      }
    }),
    { numRuns: 500 },
  );
});
