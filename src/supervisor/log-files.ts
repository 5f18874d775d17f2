import { closeSync, fchownSync, fstatSync, openSync } from "node:fs";
import { configProblem, type Problem } from "../core/problem.ts";
import type { Service } from "../core/service.ts";
import { accessLogOf } from "../observe/access-log.ts";
import { LOG_FLAGS, LOG_MODE } from "../observe/log-file.ts";
import { NOBODY } from "../runtime/privileges.ts";

/**
 * Makes the access-log files of these services where they are not, and gives those to the account that workers run as:
 * they open them without rights. Files that are there keep their owner. @returns what cannot be opened, by service.
 */
export function prepareLogFiles(services: readonly Service[]): Problem[] {
  return services.flatMap((service) => {
    const options = accessLogOf(service);
    if (options === null) return [];
    try {
      const fd = openSync(options.file, LOG_FLAGS, LOG_MODE);
      try {
        const { size, uid } = fstatSync(fd);
        if (process.getuid?.() === 0 && size === 0 && uid === 0) fchownSync(fd, NOBODY, NOBODY);
      } finally {
        closeSync(fd);
      }
      return [];
    } catch (error) {
      const path = ["services", service.name, service.method, "accessLog", "file"];
      // A FIFO without a reader may get one later.
      if ((error as { code?: string }).code === "ENXIO") return [];
      const message = `The access log cannot be opened: ${(error as Error).message}.`;
      return [configProblem("SLUICE_CONFIG_VALUE", path, message, { hint: "Make its folder, or write another path." })];
    }
  });
}
