import { expect, test } from "bun:test";
import fc from "fast-check";
import { linesOf } from "./lines.ts";

test("lines are the same however their bytes come, characters that are cut in two among them", async () => {
  const cuts = fc.array(fc.nat(12), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom("a", "\n", "é", "𝄞", "\n\n")), cuts, async (characters, sizes) => {
      const text = characters.join("");
      const bytes = new TextEncoder().encode(text);
      let at = 0;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const size of [...sizes, bytes.length]) {
            controller.enqueue(bytes.slice(at, at + size));
            at += size;
          }
          controller.close();
        },
      });
      const lines: string[] = [];
      for await (const line of linesOf(body)) lines.push(line);
      expect(lines).toEqual(text.split("\n").slice(0, -1));
    }),
  );
});
