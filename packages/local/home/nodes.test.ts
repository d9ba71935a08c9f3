import { describe, expect, it } from "vitest";
import { parseNodes } from "./nodes.ts";

describe("LOCAL_NODES", () => {
  it("sets the number of nodes of each type, each with a unique name", () => {
    const nodes = parseNodes("p5.48xlarge=2, c7i.8xlarge=1,g5.12xlarge=0");

    expect(nodes.map(({ name, instanceType }) => [name, instanceType])).toEqual([
      ["p5-48xlarge-1", "p5.48xlarge"],
      ["p5-48xlarge-2", "p5.48xlarge"],
      ["c7i-8xlarge-1", "c7i.8xlarge"],
    ]);
  });

  it("may be empty", () => {
    expect(parseNodes("")).toEqual([]);
  });

  it.each(["p5.48xlarge", "p5.48xlarge=", "p5.48xlarge=-1", "p5.48xlarge=1.5", "t2.micro=1", "=1", "p5.48xlarge=1001"])(
    "refuses %s",
    (text) => {
      expect(() => parseNodes(text)).toThrow("LOCAL_NODES must be");
    },
  );

  it("refuses a type that is listed twice, since its nodes would have the same names", () => {
    expect(() => parseNodes("p5.48xlarge=1,c7i.8xlarge=1,p5.48xlarge=2")).toThrow(
      "LOCAL_NODES must name each type once, but p5.48xlarge is named again",
    );
  });

  it("names the part that it refuses, and lists the types if that type is unknown", () => {
    expect(() => parseNodes("p5.48xlarge=1,c7i.8xlarge:1")).toThrow(
      "p5.48xlarge=2,c7i.8xlarge=1, and c7i.8xlarge:1 is not",
    );
    expect(() => parseNodes("toaster=1")).toThrow(/must be of known types, and toaster is none: .*\bp5\.48xlarge\b/);
  });
});
