import { Command, type CommanderError } from "commander";
import { SluiceError, toProblem } from "../core/problem.ts";
import { VERSION } from "../core/version.ts";
import { registerCommands } from "./commands.ts";
import { exitWhenLost } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { registerHelp } from "./help.ts";
import { endWithOutput } from "./output.ts";

endWithOutput();
const program = new Command("sluice")
  .description("One load balancer, six methods: redirect, dns, proxy, nat, direct, tunnel.")
  .version(VERSION)
  .configureHelp({ sortSubcommands: true, showGlobalOptions: true });
await registerCommands(program, process.argv[2]);
registerHelp(program);
answerWrongUsage(program, "sluice");

/**
 * Wrong usage names the help of the very command that was typed wrongly, and ends with our code: Commander's is 1, which
 * means the configuration here.
 *
 * @param typed the command as it is typed, its parents before it
 */
function answerWrongUsage(command: Command, typed: string): void {
  command.showHelpAfterError(`(${typed} --help says how it is used)`);
  command.exitOverride((error: CommanderError) => {
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
  });
  for (const sub of command.commands) answerWrongUsage(sub, `${typed} ${sub.name()}`);
}

try {
  await program.parseAsync();
} catch (error) {
  exitWhenLost(error);
  console.error(refusal(error) ?? error);
  process.exit(EXIT.kernel);
}

/** What the host refused, as a sentence; null: a fault of our own, of which the stack tells. */
function refusal(error: unknown): string | null {
  const { code, message, hint } = toProblem(error);
  if (error instanceof SluiceError || code !== "SLUICE_INTERNAL")
    return `error ${code}: ${message}${hint ? `\n  ${hint}` : ""}`;
  return error instanceof Error && "syscall" in error ? `error: ${error.message}` : null;
}
