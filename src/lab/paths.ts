import { resolve } from "node:path";

/** The project's folder. */
export const projectDir = resolve(import.meta.dirname, "../..");

/** Where running labs are recorded; one `NAME.json` and one folder `NAME/` (logs, captures) each. */
export const labsDir = "/run/sluice/labs";

/** The product's command. */
export const sluiceCommand = resolve(projectDir, "bin/sluice");

/** Where iproute2 keeps named namespaces. */
export const namespacePath = (namespace: string): string => `/run/netns/${namespace}`;
