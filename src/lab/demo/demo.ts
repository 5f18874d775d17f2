import { catalog } from "../../catalog.ts";
import type { Method } from "../../core/method.ts";
import { type MethodName, methodNames } from "../../core/service.ts";
import { createLabStage } from "./lab-stage.ts";
import { createLoopbackStage, loopbackScene } from "./loopback-stage.ts";
import { perform } from "./perform.ts";
import { DEMO_SCHEMA, type DemoReport, type MethodResult } from "./result.ts";
import { exampleOf, sharpen, toScene } from "./scene.ts";
import type { Stage } from "./stage.ts";

export interface DemoOptions {
  /** Null: all. */
  only: readonly MethodName[] | null;
  /** Why no labs can be made; null when they can. */
  noLabs: string | null;
  /** Progress, one line each. */
  say(text: string): void;
  /** As soon as a method is through. */
  show(result: MethodResult): void;
}

/** The stage that is up or being built, so that an interrupt can close it; no other is built after one. */
const current = { building: null as Promise<Stage> | null, stage: null as Stage | null, interrupted: false };

/** Ends the demo before its time: closes what is up, and what is just being built. */
export async function interrupt(): Promise<void> {
  current.interrupted = true;
  const built = await current.building?.catch(() => null);
  await (current.stage ?? built)?.close().catch(() => {});
}

/** Shows the methods, one after the other. Never throws: what goes wrong is in the report. */
export async function runDemo({ only, noLabs, say, show }: DemoOptions): Promise<DemoReport> {
  const began = performance.now();
  const methods: MethodResult[] = [];
  const leftOut: DemoReport["leftOut"] = [];
  for (const name of methodNames.filter((method) => only?.includes(method) ?? true)) {
    if (current.interrupted) break;
    const method = catalog.methods.find((m) => m.name === name);
    if (!method) leftOut.push({ method: name, why: "this build has no such method" });
    else if (noLabs !== null && method.runs === "kernel") leftOut.push({ method: name, why: noLabs });
    else {
      const result = await showMethod(method, noLabs === null, (text) => say(`${name}: ${text}`));
      methods.push(result);
      show(result);
    }
  }
  const complete = leftOut.every(({ why }) => why === noLabs);
  const ok = complete && methods.length > 0 && methods.every(({ works }) => works);
  return { schema: DEMO_SCHEMA, ok, leftOut, methods, took: secondsSince(began) };
}

const secondsSince = (began: number): number => Math.round(performance.now() - began) / 1000;

async function showMethod(method: Method, inLab: boolean, say: (text: string) => void): Promise<MethodResult> {
  const began = performance.now();
  let stage: Stage | null = null;
  try {
    const scene = inLab ? toScene(method, sharpen(exampleOf(method.name))) : await loopbackScene(method);
    current.building = inLab ? createLabStage(scene, say) : createLoopbackStage(scene, say);
    stage = await current.building;
    current.stage = stage;
    return { ...(await perform(stage, scene, say)), took: secondsSince(began) };
  } catch (error) {
    return {
      method: method.name,
      where: inLab ? "lab" : "loopback",
      ...{ describe: [], tries: [] },
      works: false,
      failures: [error instanceof Error ? error.message : String(error)],
      ...{ path: null, shares: null, death: null },
      took: secondsSince(began),
    };
  } finally {
    await stage?.close().catch((error) => say(`its stage stays: ${error instanceof Error ? error.message : error}`));
    current.building = current.stage = null;
  }
}
