import { expect, test } from "bun:test";
import fc from "fast-check";
import { backendStatus, exampleModel, serviceStatus, statusModel } from "./fixture.ts";
import type { ServiceStatus, StatusModel } from "./status.ts";
import { readStatus, statusParts } from "./status-json.ts";

const parts = ({ services, ...head }: StatusModel): string[] => [...statusParts({ head, services })];

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.split("\n").slice(0, -1);
}

async function readAll(text: string): Promise<StatusModel> {
  const { head, services } = await readStatus(linesOf(text));
  const all: ServiceStatus[] = [];
  for await (const service of services) all.push(service);
  return { ...head, services: all };
}

const models = fc
  .array(fc.tuple(fc.string(), fc.string({ unit: "binary" })), { maxLength: 4 })
  .map((names) =>
    statusModel(names.map(([name, word]) => serviceStatus({ name, backends: [backendStatus({ name: word })] }))),
  );

test("it is the model, to who parses the document and to who reads its lines, whatever names hold", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(models, fc.constant(exampleModel())), async (model) => {
      const text = parts(model).join("");
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(model)));
      expect(await readAll(text)).toEqual(JSON.parse(JSON.stringify(model)));
      expect(text.split("\n").length).toBe(model.services.length + 3);
    }),
  );
});

test("a service is looked up when its turn has come", () => {
  const looked: string[] = [];
  const { services, ...head } = exampleModel();
  const lazy = function* (): Generator<ServiceStatus> {
    for (const service of services) {
      looked.push(service.name);
      yield service;
    }
  };
  const made = statusParts({ head, services: lazy() });
  made.next();
  expect(looked).toEqual([services[0]!.name]);
});

test("what ends too early, or is something else, is no status", async () => {
  const text = parts(exampleModel()).join("");
  for (const cut of [text.slice(0, text.lastIndexOf("]}")), text.slice(0, text.indexOf("\n") + 1)])
    await expect(readAll(cut)).rejects.toThrow("no end");
  for (const other of ["", "{}\n"]) await expect(readAll(other)).rejects.toThrow("no status");
});
