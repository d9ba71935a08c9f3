import { expect, test } from "vitest";
import { withoutWords } from "./without-document.ts";

test("a schema loses its name and description, and keeps its rules", () => {
  const source = `z.object({ name: z.string().min(1).describe("Its name " + 'or (id)') }).meta({ id: "Thing" })`;

  expect(withoutWords(source)).toBe("z.object({ name: z.string().min(1) })");
});

test("a body loses its examples, whatever brackets, commas and quotes they or the schema hold", () => {
  const source = `responses: {
    200: jsonReply(z.union([Thing, z.null()]), { "One, (two]": { list: [1, 2], text: \`a)\${b}\` } }, "Created"),
    // It isn't there, or (another) user has it.
    404: problemReply("No, it isn't (there)", {
      // Isn't printed, (ever)
      None: example({ a: "it's" }),
    }),
    409: problemReply("It runs"),
    ...jsonBody(Thing, examples).content,
  }`;

  expect(withoutWords(source)).toBe(`responses: {
    200: jsonReply(z.union([Thing, z.null()])),
    // It isn't there, or (another) user has it.
    404: problemReply("No, it isn't (there)"${"\n".repeat(3)}),
    409: problemReply("It runs"),
    ...jsonBody(Thing).content,
  }`);
});

test("a call that does not end is refused, because its examples would ship", () => {
  expect(() => withoutWords('jsonReply(Thing, { "One": 1 }')).toThrow("A call that declares a body does not end");
});
