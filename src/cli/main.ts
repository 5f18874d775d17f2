import { Command, type CommanderError } from "commander";
import { VERSION } from "../core/version.ts";
import { registerCommands } from "./commands.ts";
import { EXIT } from "./exit.ts";
import { endWithOutput } from "./output.ts";

endWithOutput();
const program = new Command("sluice")
  .description("One load balancer, six methods: redirect, dns, proxy, nat, direct, tunnel.")
  .version(VERSION)
  .configureHelp({ sortSubcommands: true, showGlobalOptions: true });
await registerCommands(program, process.argv[2]);
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

await program.parseAsync();
