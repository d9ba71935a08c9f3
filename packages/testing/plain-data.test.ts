import { describe, expect, it } from "vitest";
import { copyOfData, frozenData } from "./plain-data.ts";

describe("a copy of data", () => {
  it.each([copyOfData, frozenData])("loses undefined fields and shares nothing with what it was made of", (copy) => {
    const data = { a: [{ b: 1, gone: undefined }], gone: undefined, text: "x", none: null };

    const made = copy(data);
    data.a.push({ b: 2, gone: undefined });

    expect(made).toStrictEqual({ a: [{ b: 1 }], text: "x", none: null });
  });

  it.each([copyOfData, frozenData])("is refused of what JSON would change", (copy) => {
    for (const value of [Number.NaN, new Date(0), () => 1, new Map()])
      expect(() => copy({ value })).toThrow("Not data");
  });
});

describe("frozen data", () => {
  it("cannot be changed, at any depth", () => {
    const made = frozenData({ list: [{ n: 1 }] });

    expect(() => made.list.push({ n: 2 })).toThrow(TypeError);
    expect(() => Object.assign(made.list[0] ?? {}, { n: 2 })).toThrow(TypeError);
  });

  it("shares with its next version what stayed as it was, and copies what only looks frozen", () => {
    const first = frozenData({ n: 1, list: [1], other: Object.freeze({ inside: [1] }) });
    const shallow = Object.freeze({ inside: [1] });

    const second = frozenData({ ...first, n: 2, other: shallow });
    shallow.inside.push(2);

    expect(second.list).toBe(first.list);
    expect(second.other).toEqual({ inside: [1] });
  });
});
