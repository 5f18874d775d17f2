import { readFileSync } from "node:fs";
import { diagnose } from "./diagnose.ts";
import { parseConfig } from "./parse.ts";
import { testCatalog } from "./test-catalog.ts";

const l = parseConfig("a.yaml", readFileSync(process.argv[2]!, "utf8"), testCatalog);
console.log(diagnose(l.problems, l.source, { color: false, state: "nothing was changed" }));
