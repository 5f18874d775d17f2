import { closeSync, constants, fchownSync, fstatSync, openSync } from "node:fs";
import { configProblem, type Problem } from "../core/problem.ts";
import type { Service } from "../core/service.ts";
import { accessLogOf } from "../observe/access-log.ts";
import { codeOf, LOG_FLAGS, LOG_MODE } from "../observe/log-sink.ts";
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
      const fd = openAny(options.file);
      try {
        const file = fstatSync(fd);
        // A device is everybody's.
        const ours = (file.isFile() || file.isFIFO()) && file.size === 0 && file.uid === 0;
        if (process.getuid?.() === 0 && ours) fchownSync(fd, NOBODY, NOBODY);
      } finally {
        closeSync(fd);
      }
      return [];
    } catch (error) {
      const path = ["services", service.name, service.method, "accessLog", "file"];
      const message = `The access log cannot be opened: ${(error as Error).message}.`;
      return [configProblem("SLUICE_CONFIG_VALUE", path, message, { hint: "Make its folder, or write another path." })];
    }
  });
}

/** A FIFO without a reader can be opened by who would read it too; it may get one later. */
function openAny(path: string): number {
  try {
    return openSync(path, LOG_FLAGS, LOG_MODE);
  } catch (error) {
    if (codeOf(error) !== "ENXIO") throw error;
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }
}
