import { expect, test } from "bun:test";
import type { Config } from "../core/service.ts";
import { withoutSecrets } from "./secrets.ts";

test("no secret leaves, however deep it lies; all else does", () => {
  const config = {
    version: 1,
    services: [],
    settings: { dns: { cookies: { secret: "a", accept: ["c"], require: true } } },
    secret: "b",
    drain: 3,
  };
  expect(withoutSecrets(config as unknown as Config)).toEqual({
    version: 1,
    services: [],
    settings: { dns: { cookies: { require: true } } },
    drain: 3,
  } as unknown as Config);
});
